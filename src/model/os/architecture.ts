import { MACHINE } from "../../formats/pe/index.ts";

/** Names of one machine in the vocabularies that meet in an image. */
export interface Architecture {
  /** In file names of EFI programs (UEFI 2.10 table 3-2, in lower case). */
  readonly efi: "x64" | "aa64";
  /** In OCI configs: GOARCH. */
  readonly oci: string;
  /** In kargs.d and `uname -m`. */
  readonly kernel: string;
  /** IMAGE_FILE_MACHINE_* of a PE. */
  readonly machine: number;
}

export const ARCHITECTURES: readonly Architecture[] = [
  { efi: "x64", oci: "amd64", kernel: "x86_64", machine: MACHINE.amd64 },
  { efi: "aa64", oci: "arm64", kernel: "aarch64", machine: MACHINE.arm64 },
];

/** The architecture that any of its names, or the machine of a PE, stands for. */
export function findArchitecture(name: string | number): Architecture | undefined {
  return ARCHITECTURES.find(({ efi, oci, kernel, machine }) => [efi, oci, kernel, machine].includes(name));
}
