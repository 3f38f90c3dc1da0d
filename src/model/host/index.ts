/**
 * A machine that runs, read from inside: what the kernel and the firmware say, below a root directory that is `/` or a
 * copy of the files in question.
 *
 *     proc/cmdline  proc/self/mountinfo          kernel: command line, mounts
 *     sys/firmware/efi/efivars/Name-guid         firmware: attributes, then the value
 *     sys/kernel/security/tpm0/…measurements     event log, and in sys/class/tpm/tpm0 the PCRs
 *     sys/class/block  dev/disk/by-partuuid      where the ESP is
 *     sysroot/composefs  sysroot/state           repository and deployments, as bootc installs them
 *
 * Nothing is mounted or started, and nothing written but variables of the firmware where that is asked for. All of it is the machine's own word: a proof to others takes a TPM's quote.
 */
export { type BootedRoot, findBootedRoot } from "./booted-root.ts";
export { loadCommandLine } from "./command-line.ts";
export { type HostDeployment, hostImagePath, loadDeployment } from "./deployment.ts";
export {
  type EfiVariable,
  efiVariablePath,
  hasEfiVariables,
  type KeyDatabaseName,
  loadEfiVariable,
  loadKeyDatabase,
  loadLoaderText,
} from "./efi-variables.ts";
export { type HostEsp, type HostFile, openHostEsp } from "./esp.ts";
export { loadHostFile } from "./host-file.ts";
export { loadLockdown } from "./lockdown.ts";
export { loadMeasuredBoot, type MeasuredBoot, type ReplayedBoot, replayMeasuredBoot } from "./measured-boot.ts";
export { findMount, isBelow, isReadOnly, loadMounts, type Mount, parseMountinfo } from "./mountinfo.ts";
export { loadSecureBoot, type SecureBootState } from "./secure-boot.ts";
export { writeEfiVariable } from "./write-variable.ts";
