import { FormatError } from "../../lib/errors.ts";
import { parsePe, sectionContent } from "../pe/index.ts";
import { assembleUki } from "./assemble.ts";
import { parseEnvFile } from "./env-file.ts";
import { toBootableKernel } from "./kernel.ts";
import { PROFILE_SECTIONS, SBAT_DEFAULT_ADDON, SBAT_DEFAULT_UKI, SBAT_HEADER } from "./layout.ts";
import { SectionDigests } from "./pcr11.ts";
import { makePcrSignatureSection, type PcrPolicyOptions, type PcrSigning, signPcrPolicies } from "./pcrsig.ts";
import { mergeSbat, readSbat } from "./sbat.ts";
import { makeSection, type UkiSection } from "./section.ts";
import { selectSections } from "./select.ts";
import { readStubVersion } from "./stub.ts";
import { findKernelVersion } from "./uname.ts";

/** What goes into a UKI, an addon or a profile. Contents are taken as they are; what is absent or empty is left out. */
export interface UkiInputs {
  /** The kernel; a gzip or zstd file is unpacked. */
  readonly linux?: Uint8Array;
  readonly osRelease?: Uint8Array;
  readonly cmdline?: Uint8Array;
  readonly dtb?: Uint8Array;
  readonly dtbautos?: readonly Uint8Array[];
  readonly hwids?: Uint8Array;
  /** `uname -r`. Absent: searched in the kernel. Empty: no section. */
  readonly uname?: string;
  /** BMP. */
  readonly splash?: Uint8Array;
  /** Public key of the PCR policies, PEM. */
  readonly pcrPublicKey?: Uint8Array;
  /** One is taken as it is; several are each padded to 4 bytes and joined. */
  readonly initrds?: readonly Uint8Array[];
  readonly efifws?: readonly Uint8Array[];
  /** Microcode, an uncompressed cpio. */
  readonly ucode?: Uint8Array;
  /** Any others. */
  readonly sections?: readonly UkiSection[];
  /** SBAT texts in place of the default line, each with its header. */
  readonly sbat?: readonly string[];
  /** `.profile` of the base; alone, it makes a profile PE. */
  readonly profile?: Uint8Array;
  /** Profile PEs to join. */
  readonly profiles?: readonly Uint8Array[];
}

export interface PcrSigningOptions extends PcrPolicyOptions {
  readonly signings: readonly PcrSigning[];
  /** Only profiles with these `ID=`. Default: all. */
  readonly profileIds?: readonly string[];
}

export interface BuiltUki {
  readonly bytes: Uint8Array;
  /** What went into `.uname`, given or found. */
  readonly uname: string | undefined;
}

/**
 * Builds a unified kernel image, an addon (no kernel, on an addon stub) or a profile PE, byte for byte as ukify of
 * systemd 262 does, and unsigned.
 *
 * @param pcr predicts and signs PCR 11 for each profile into `.pcrsig`
 * @throws {FormatError} as `assembleUki()`; `uki.kernel.…`, `uki.sbat.…`, `uki.profile.…`, `uki.pcr.key-type`
 * @throws {UnsupportedError} `uki.kernel.compression`
 * @throws {UsageError} `uki.pcr.phase`
 */
export async function buildUki(stub: Uint8Array, inputs: UkiInputs, pcr?: PcrSigningOptions): Promise<BuiltUki> {
  const { profiles = [], profile } = inputs;
  const linux = inputs.linux && toBootableKernel(inputs.linux);
  const uname = inputs.uname ?? (linux && findKernelVersion(linux));
  const base = baseSections(stub, { ...inputs, ...(linux && { linux }) }, uname);
  const joined = profiles.map((bytes, index) =>
    profileSections(bytes, `profile PE ${index + 1}`, inputs.osRelease !== undefined),
  );
  const isProfile = profile !== undefined && profiles.length === 0;
  const groups = [base, ...joined];
  const sections = pcr === undefined || isProfile ? groups.flat() : await withPcrSignatures(stub, groups, pcr);
  return { bytes: assembleUki(stub, sections), uname };
}

/** The order of ukify 262; names and order are what makes two builds comparable. */
function baseSections(stub: Uint8Array, inputs: UkiInputs, uname: string | undefined): UkiSection[] {
  const { profile, profiles = [], dtbautos = [], efifws = [], sections: others = [] } = inputs;
  const isProfile = profile !== undefined && profiles.length === 0;
  const first = isProfile ? [makeSection(".profile", profile)] : [];
  // Whatever stands before the first .profile is shared by all profiles, so the base's own comes last.
  const last = profiles.length > 0 ? [makeSection(".profile", profile ?? Buffer.from("ID=main"))] : [];
  return [
    ...first,
    one(".osrel", inputs.osRelease),
    one(".cmdline", inputs.cmdline),
    one(".dtb", inputs.dtb),
    ...dtbautos.map((dtb) => makeSection(".dtbauto", dtb)),
    one(".hwids", inputs.hwids),
    one(".uname", Buffer.from(uname ?? "")),
    one(".splash", inputs.splash),
    one(".pcrpkey", inputs.pcrPublicKey),
    one(".linux", inputs.linux),
    makeSection(".initrd", ...joinInitrds(inputs.initrds ?? [])),
    ...efifws.map((efifw) => makeSection(".efifw", efifw)),
    one(".ucode", inputs.ucode),
    ...others,
    ...(isProfile ? [] : [makeSection(".sbat", Buffer.from(sbatText(stub, inputs)))]),
    ...last,
  ].filter(({ content }) => content.some((part) => part.length > 0));
}

const one = (name: string, content: Uint8Array | undefined): UkiSection =>
  makeSection(name, ...(content ? [content] : []));

/** A single initrd stays as it is; in a series each begins at a multiple of 4, where the kernel looks for it. */
function joinInitrds(initrds: readonly Uint8Array[]): Uint8Array[] {
  if (initrds.length < 2) return [...initrds];
  return initrds.flatMap((initrd) => [initrd, new Uint8Array((4 - (initrd.length % 4)) % 4)]);
}

/** Addons do not run their stub, so only UKIs inherit the generations of stub and kernel. */
function sbatText(stub: Uint8Array, { linux, sbat = [] }: UkiInputs): string {
  const own = sbat.map((text, index) => ({ what: `SBAT ${index + 1}`, text }));
  const fallback = linux === undefined ? SBAT_DEFAULT_ADDON : SBAT_DEFAULT_UKI;
  const given = own.length > 0 ? own : [{ what: "default", text: `${SBAT_HEADER}\n${fallback}` }];
  const inherited = linux === undefined ? [] : [inheritedSbat(stub, "stub"), inheritedSbat(linux, "kernel")].flat();
  return mergeSbat([...inherited, ...given]);
}

function inheritedSbat(bytes: Uint8Array, what: string): { what: string; text: string }[] {
  const text = readSbat(bytes, what);
  return text === undefined ? [] : [{ what, text }];
}

function profileSections(bytes: Uint8Array, what: string, takeOsRelease: boolean): UkiSection[] {
  const pe = parsePe(bytes);
  const sections = pe.sections
    .filter(({ name }) => PROFILE_SECTIONS.has(name) && (name !== ".osrel" || takeOsRelease))
    .map((section) => makeSection(section.name, sectionContent(pe, section)));
  const starts = sections.filter(({ name }) => name === ".profile").length;
  if (sections[0]?.name !== ".profile" || starts !== 1) {
    throw new FormatError("uki.profile.sections", {
      what,
      expected: "one .profile section, before the others",
      found: sections.map(({ name }) => name).join(" ") || "no section that belongs to a profile",
    });
  }
  return sections;
}

async function withPcrSignatures(
  stub: Uint8Array,
  groups: readonly (readonly UkiSection[])[],
  pcr: PcrSigningOptions,
): Promise<UkiSection[]> {
  const stubVersion = pcr.stubVersion ?? readStubVersion(parsePe(stub));
  const options = { ...pcr, digests: new SectionDigests(), ...(stubVersion === undefined ? {} : { stubVersion }) };
  const out: UkiSection[] = [];
  const base = (groups[0] ?? []).filter(({ name }) => name !== ".profile");
  for (const group of groups) {
    out.push(...group);
    if (!isWanted(group, pcr.profileIds)) continue;
    const policies = await signPcrPolicies(selectSections(base, group), pcr.signings, options);
    out.push(makePcrSignatureSection(policies));
  }
  return out;
}

function isWanted(group: readonly UkiSection[], ids: readonly string[] | undefined): boolean {
  if (ids === undefined) return true;
  const profile = group.find(({ name }) => name === ".profile");
  if (profile === undefined) return false;
  const id = parseEnvFile(Buffer.concat(profile.content).toString("utf8")).get("ID");
  return id !== undefined && ids.includes(id);
}
