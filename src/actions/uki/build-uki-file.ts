/** Builds a UKI, an addon or a profile from files. */
import {
  buildUki,
  joinPcrSignatures,
  type PcrBank,
  type PcrSigningOptions,
  parsePcrPolicies,
  type UkiInputs,
} from "../../formats/uki/index.ts";
import { UsageError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { storeFile } from "../../model/host-io/files.ts";
import {
  defaultStubPath,
  type EfiArchitecture,
  loadCommandLine,
  loadHwids,
  loadPart,
  loadSection,
  loadTextOrFile,
} from "./inputs.ts";
import { initrdSigning, openPcrKey, type PcrKey, type PcrKeyOptions } from "./pcr-keys.ts";

export interface BuildUkiOptions {
  readonly output: string;
  readonly overwrite?: boolean;
  /** Default: systemd's, of the kernel's architecture. */
  readonly stub?: string;
  readonly architecture?: EfiArchitecture;
  readonly linux?: string;
  readonly initrds?: readonly string[];
  /** `TEXT` or `@FILE`. */
  readonly cmdline?: string;
  /** `TEXT` or `@FILE`; a kernel needs one, "" leaves it out all the same. */
  readonly osRelease?: string;
  /** `uname -r`. Default: found in the kernel. */
  readonly uname?: string;
  readonly splash?: string;
  readonly dtb?: string;
  readonly dtbautos?: readonly string[];
  readonly microcode?: string;
  /** A directory of descriptions. */
  readonly hwids?: string;
  /** `TEXT` or `@FILE` each. */
  readonly sbat?: readonly string[];
  /** `NAME:TEXT` or `NAME:@PATH` each. */
  readonly sections?: readonly string[];
  /** `TEXT` or `@FILE`. */
  readonly profile?: string;
  /** Profile PEs. */
  readonly profiles?: readonly string[];
  /** PEM for `.pcrpkey`. Default: the PCR key, when there is exactly one. */
  readonly pcrPublicKey?: string;
  readonly pcrKeys?: readonly PcrKeyOptions[];
  readonly pcrBanks?: readonly PcrBank[];
  /** Sign for the initrd alone too, with the first PCR key. */
  readonly signInitrdPcrs?: boolean;
  /** `ID=` of the profiles whose PCR values are signed. Default: all. */
  readonly signProfiles?: readonly string[];
  /** Signs the finished PE for Secure Boot. */
  readonly sign?: (pe: Uint8Array) => Promise<Uint8Array>;
  readonly onProgress?: Progress;
  readonly signal?: AbortSignal;
}

export interface BuildUkiReport {
  readonly output: string;
  /** Bytes. */
  readonly size: number;
  readonly uname: string | undefined;
}

/**
 * Reads the parts, builds, signs when asked to, and writes the output whole or not at all.
 *
 * @throws {UsageError} `uki.os-release.absent`, `uki.stub.architecture`, `uki.section.spec`, `uki.pcr.…`
 * @throws {FormatError} as `buildUki()`; {NotFoundError} `input.not-found`; {InputOutputError} `output.…`
 */
export async function buildUkiFile(options: BuildUkiOptions): Promise<BuildUkiReport> {
  const { output, overwrite = false, onProgress = silent, signal } = options;
  if (options.linux !== undefined && options.osRelease === undefined) {
    throw new UsageError("uki.os-release.absent", "a kernel without os-release: boot loaders do not list such a UKI", {
      hint: "give the os-release of the system inside, or an empty one to go without",
    });
  }
  onProgress({ step: "uki.read", text: "reading the parts" });
  await using open = new AsyncDisposableStack();
  const pcrKeys: PcrKey[] = [];
  // One after the other: each may ask for a passphrase.
  for (const each of options.pcrKeys ?? []) pcrKeys.push(open.use(await openPcrKey(each)));
  const inputs = await loadInputs(options, pcrKeys);
  const stub = await loadPart(options.stub ?? defaultStubPath(inputs.linux, options.architecture), "UKI stub");

  onProgress({ step: "uki.build", text: "building the UKI" });
  const built = await buildUki(stub, inputs, pcrSigning(options, pcrKeys));
  if (options.sign !== undefined) onProgress({ step: "uki.sign", text: "signing the UKI" });
  const bytes = options.sign === undefined ? built.bytes : await options.sign(built.bytes);
  await storeFile(output, bytes, { overwrite, ...(signal && { signal }) });
  return { output, size: bytes.length, uname: built.uname };
}

export interface AttachPcrSignaturesOptions {
  readonly output: string;
  readonly overwrite?: boolean;
  /** Signs the finished PE for Secure Boot. */
  readonly sign?: (pe: Uint8Array) => Promise<Uint8Array>;
}

/**
 * Puts PCR signatures made elsewhere into a UKI that was built with public keys only.
 *
 * @param signatures JSON with a `sig` for each policy
 * @throws {FormatError} as `joinPcrSignatures()`
 */
export async function attachPcrSignatures(
  uki: string,
  signatures: string,
  { output, overwrite = false, sign }: AttachPcrSignaturesOptions,
): Promise<void> {
  const policies = parsePcrPolicies(await loadPart(signatures, "PCR signatures"));
  const joined = joinPcrSignatures(await loadPart(uki, "UKI"), policies);
  await storeFile(output, sign === undefined ? joined : await sign(joined), { overwrite });
}

async function loadInputs(options: BuildUkiOptions, pcrKeys: readonly PcrKey[]): Promise<UkiInputs> {
  const { uname } = options;
  const onlyKey = pcrKeys.length === 1 ? pcrKeys[0]?.publicKeyPem : undefined;
  const given: { readonly [key in keyof UkiInputs]: UkiInputs[key] | undefined } = {
    linux: await maybe(options.linux, (path) => loadPart(path, "kernel")),
    initrds: await each(options.initrds, (path) => loadPart(path, "initrd")),
    cmdline: await maybe(options.cmdline, loadCommandLine),
    osRelease: await maybe(options.osRelease || undefined, (value) => loadTextOrFile(value, "os-release")),
    uname,
    splash: await maybe(options.splash, (path) => loadPart(path, "splash image")),
    dtb: await maybe(options.dtb, (path) => loadPart(path, "devicetree")),
    dtbautos: await each(options.dtbautos, (path) => loadPart(path, "devicetree")),
    ucode: await maybe(options.microcode, (path) => loadPart(path, "microcode")),
    hwids: await maybe(options.hwids, loadHwids),
    sbat: await each(options.sbat, async (value) => Buffer.from(await loadTextOrFile(value, "SBAT")).toString("utf8")),
    sections: await each(options.sections, loadSection),
    profile: await maybe(options.profile, (value) => loadTextOrFile(value, "profile")),
    profiles: await each(options.profiles, (path) => loadPart(path, "profile PE")),
    pcrPublicKey: (await maybe(options.pcrPublicKey, (path) => loadPart(path, "PCR public key"))) ?? onlyKey,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function pcrSigning(options: BuildUkiOptions, keys: readonly PcrKey[]): PcrSigningOptions | undefined {
  const [first] = keys;
  if (first === undefined) {
    if (options.signInitrdPcrs !== true) return undefined;
    throw new UsageError("uki.pcr.key-absent", "a PCR signature for the initrd is wanted, but no PCR key is given");
  }
  const extra = options.signInitrdPcrs === true ? [initrdSigning(first)] : [];
  return {
    signings: [...keys.map(({ signing }) => signing), ...extra],
    ...(options.pcrBanks && { banks: options.pcrBanks }),
    ...(options.signProfiles && { profileIds: options.signProfiles }),
  };
}

async function maybe<T>(value: string | undefined, load: (value: string) => Promise<T>): Promise<T | undefined> {
  return value === undefined ? undefined : await load(value);
}

async function each<T>(values: readonly string[] | undefined, load: (value: string) => Promise<T>): Promise<T[]> {
  return await Promise.all((values ?? []).map(load));
}
