/** Builds a UKI addon: a command line, a devicetree, an initrd or microcode that a UKI takes along. */
import { basename } from "node:path";
import { buildUki, parseUki } from "../../formats/uki/index.ts";
import { PolicyError, quote, UsageError } from "../../lib/errors.ts";
import { storeFile } from "../../model/host-io/files.ts";
import { ADDON_SUFFIX, type AddonProblem, checkAddon } from "../../model/os/index.ts";
import { defaultStubPath, type EfiArchitecture, loadCommandLine, loadPart, loadTextOrFile } from "./inputs.ts";

export interface BuildAddonOptions {
  /** Ends in `.addon.efi`. */
  readonly output: string;
  readonly overwrite?: boolean;
  /** Default: systemd's addon stub of `architecture`. */
  readonly stub?: string | undefined;
  readonly architecture: EfiArchitecture;
  /** `TEXT` or `@FILE`. */
  readonly cmdline?: string | undefined;
  readonly dtb?: string | undefined;
  readonly dtbautos?: readonly string[];
  readonly initrds?: readonly string[];
  /** An uncompressed cpio. */
  readonly microcode?: string | undefined;
  /** `uname -r` of the one kernel that it is for; the stub skips it for others. */
  readonly uname?: string | undefined;
  /** `TEXT` or `@FILE` each, in place of the default line. */
  readonly sbat?: readonly string[];
  /** Build it although a sealed host with it boots something else than its seal says. */
  readonly allowBreakingSeal?: boolean;
  /** Signs the finished PE for Secure Boot. */
  readonly sign?: ((pe: Uint8Array) => Promise<Uint8Array>) | undefined;
  readonly signal?: AbortSignal;
}

export interface BuildAddonReport {
  readonly output: string;
  /** Bytes. */
  readonly size: number;
  readonly signed: boolean;
  readonly problems: readonly AddonProblem[];
}

/**
 * Byte for byte what ukify builds of the same parts; then signed, when a signer is given.
 *
 * @throws {UsageError} `addon.name`, `addon.empty`
 * @throws {PolicyError} with the code of `checkAddon` for what would break a seal
 * @throws {FormatError} as `buildUki`; {NotFoundError} `input.not-found`; {InputOutputError} `output.…`
 */
export async function buildAddon(options: BuildAddonOptions): Promise<BuildAddonReport> {
  const { output, overwrite = false, sign, signal } = options;
  requireAddonName(output);
  const parts = await loadParts(options);
  const isEmpty = Object.values(parts).every((part) => part === undefined || part.length === 0);
  if (isEmpty) {
    throw new UsageError("addon.empty", "nothing goes into the addon: expected a command line, devicetree or initrd");
  }
  const stub = await loadPart(options.stub ?? defaultStubPath(undefined, options.architecture), "addon stub");
  const sbat = await Promise.all((options.sbat ?? []).map((value) => loadTextOrFile(value, "SBAT")));
  const { bytes } = await buildUki(stub, {
    ...(Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as object),
    ...(options.uname === undefined ? {} : { uname: options.uname }),
    sbat: sbat.map((text) => Buffer.from(text).toString("utf8")),
  });
  const problems = checkAddon(parseUki(bytes), output);
  refuseBreaking(problems, options.allowBreakingSeal ?? false);
  const finished = sign === undefined ? bytes : await sign(bytes);
  await storeFile(output, finished, { overwrite, ...(signal && { signal }) });
  return { output, size: finished.length, signed: sign !== undefined, problems };
}

async function loadParts({ cmdline, dtb, dtbautos = [], initrds = [], microcode }: BuildAddonOptions) {
  return {
    cmdline: cmdline === undefined ? undefined : await loadCommandLine(cmdline),
    dtb: dtb === undefined ? undefined : await loadPart(dtb, "devicetree"),
    dtbautos: await Promise.all(dtbautos.map((path) => loadPart(path, "devicetree"))),
    initrds: await Promise.all(initrds.map((path) => loadPart(path, "initrd"))),
    ucode: microcode === undefined ? undefined : await loadPart(microcode, "microcode"),
  };
}

/** A name that the stub finds, and that every FAT can hold. */
function requireAddonName(path: string): void {
  const name = basename(path);
  // oxlint-disable-next-line no-control-regex -- FAT has no control characters in names
  if (/^[^\x00-\x1f"*/:<>?\\|]+$/.test(name) && name.endsWith(ADDON_SUFFIX) && name !== ADDON_SUFFIX) return;
  throw new UsageError("addon.name", `output ${quote(name)}: expected a name that ends in ${ADDON_SUFFIX}`, {
    hint: "the stub passes over files of another name",
  });
}

function refuseBreaking(problems: readonly AddonProblem[], allowed: boolean): void {
  const [first] = problems.filter(({ breaksSeal }) => breaksSeal);
  if (first === undefined || allowed) return;
  throw new PolicyError(first.code, first.message, {
    data: { problems },
    hint: "leave it out; --allow-breaking-seal builds it all the same",
  });
}
