/**
 * The EFI programs of an image, a disk or a file: boot loaders, UKIs and addons with their bytes, found without being
 * judged.
 */
export {
  type EfiProgram,
  type LoadProgramsOptions,
  loadPrograms,
  type ProgramRole,
  type ProgramSet,
  programsOf,
} from "./load-programs.ts";
export { type ProgramSignature, signaturesOf } from "./signatures.ts";
