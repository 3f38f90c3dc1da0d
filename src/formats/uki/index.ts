/**
 * UKI: a stub and what it boots in one PE, so that one signature covers kernel, initrd and command line.
 *
 *     +---------+---------------+-----------------------------------------+------------------+------------------+
 *     | headers | stub sections | .osrel .cmdline … .linux .initrd .ucode | .profile .pcrsig | .profile … .pcrsig |
 *     +---------+---------------+-----------------------------------------+------------------+------------------+
 *               |<------------------------- base ------------------------>|<-- profile 0 --->|<-- profile 1 --->|
 *
 * The base is shared; a profile's sections hide the base's of the same name. An addon is the same without a kernel.
 * The stub measures the sections it uses into PCR 11; `.pcrsig` holds signed predictions of that value.
 *
 * Written after UAPI.5, systemd-stub(7) and ukify(1) of systemd 262; what is built is byte for byte ukify's. Kernels
 * packed with anything but gzip or zstd, and making `.efifw` records, are not supported.
 */
export { assembleUki } from "./assemble.ts";
export { type BuiltUki, buildUki, type PcrSigningOptions, type UkiInputs } from "./build.ts";
export {
  appendParameters,
  type ComposefsArgument,
  findComposefsArguments,
  isSameKey,
  normalizeCommandLine,
  type Parameter,
  parseCommandLine,
  requirePlainCommandLine,
} from "./cmdline.ts";
export { parseEnvFile } from "./env-file.ts";
export { encodeHwids, type HwidDevice, parseHwidDescription } from "./hwids.ts";
export { inspectUki, type SectionReport, type UkiReport } from "./inspect.ts";
export { joinPcrSignatures, parsePcrPolicies } from "./join-pcrsig.ts";
export { type KargsArchitecture, kargsArchitecture, parseKargsToml } from "./kargs.ts";
export { toBootableKernel } from "./kernel.ts";
export { MEASURED_SECTIONS } from "./layout.ts";
export {
  BOOT_PHASES,
  computePcr11,
  computePcrPolicyDigest,
  DEFAULT_PHASE_PATHS,
  KERNEL_PCR,
  PCR_BANKS,
  type Pcr11Options,
  type PcrBank,
  parsePhasePath,
  SectionDigests,
} from "./pcr11.ts";
export {
  encodePcrPolicies,
  INITRD_PCR_POLICY,
  joinPcrPolicies,
  type PcrPolicies,
  type PcrPolicy,
  type PcrSigning,
  signPcrPolicies,
} from "./pcrsig.ts";
export {
  findSection,
  findText,
  parseUki,
  predictPcr11,
  readOsRelease,
  readSbatEntries,
  type StoredSection,
  type Uki,
  type UkiProfile,
} from "./read.ts";
export { mergeSbat, parseSbat, type SbatEntry } from "./sbat.ts";
export { makeSection, type UkiSection } from "./section.ts";
export { findMagic, readStubVersion } from "./stub.ts";
export { findKernelVersion } from "./uname.ts";
