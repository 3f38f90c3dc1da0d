/** What an image boots and how: kernels, UKIs, boot loader, os-release. Nothing here reads file contents. */
export { ADDON_SUFFIX, type AddonProblem, checkAddon, checkAddonCommandLine, MAX_COMMAND_LINE } from "./addon.ts";
export { ARCHITECTURES, type Architecture, findArchitecture } from "./architecture.ts";
export { type BootFile, type BootFileKind, type BootFileSearch, findBootFiles, findUkis } from "./boot-files.ts";
export { type BootLoader, checkBootLoader, efiPaths, findBootLoader } from "./boot-loader.ts";
export { checkOs, findPrepareRoot, listKargsFiles } from "./check-os.ts";
export { checkCommandLine, requireDigestArguments } from "./command-line.ts";
export { findFile, type OsFile } from "./files.ts";
export { findKernel, type KernelSearch, type RawKernel, type UkiKernel } from "./kernel.ts";
export { findOsRelease, type OsRelease, parseOsRelease } from "./os-release.ts";
export type { OsProblem } from "./problem.ts";
export { requireBootableUki, requireSealArguments, type SealArguments } from "./sealed-uki.ts";
