/** Event types (TCG PC Client Platform Firmware Profile 1.06 §10.4.1). */
export const EVENT_TYPES = {
  EV_POST_CODE: 0x1,
  EV_NO_ACTION: 0x3,
  EV_SEPARATOR: 0x4,
  EV_ACTION: 0x5,
  EV_EVENT_TAG: 0x6,
  EV_S_CRTM_CONTENTS: 0x7,
  EV_S_CRTM_VERSION: 0x8,
  EV_CPU_MICROCODE: 0x9,
  EV_PLATFORM_CONFIG_FLAGS: 0xa,
  EV_TABLE_OF_DEVICES: 0xb,
  EV_IPL: 0xd,
  EV_EFI_VARIABLE_DRIVER_CONFIG: 0x80000001,
  EV_EFI_VARIABLE_BOOT: 0x80000002,
  EV_EFI_BOOT_SERVICES_APPLICATION: 0x80000003,
  EV_EFI_BOOT_SERVICES_DRIVER: 0x80000004,
  EV_EFI_RUNTIME_SERVICES_DRIVER: 0x80000005,
  EV_EFI_GPT_EVENT: 0x80000006,
  EV_EFI_ACTION: 0x80000007,
  EV_EFI_PLATFORM_FIRMWARE_BLOB: 0x80000008,
  EV_EFI_HANDOFF_TABLES: 0x80000009,
  EV_EFI_PLATFORM_FIRMWARE_BLOB2: 0x8000000a,
  EV_EFI_HANDOFF_TABLES2: 0x8000000b,
  EV_EFI_VARIABLE_BOOT2: 0x8000000c,
  EV_EFI_VARIABLE_AUTHORITY: 0x800000e0,
} as const;
export type EventTypeName = keyof typeof EVENT_TYPES;

/** TPM_ALG_ID of the hashes that banks have (TPM 2.0 part 2 §6.3), with their sizes in bytes. */
export const HASH_ALGORITHMS = {
  sha1: { id: 0x0004, size: 20 },
  sha256: { id: 0x000b, size: 32 },
  sha384: { id: 0x000c, size: 48 },
  sha512: { id: 0x000d, size: 64 },
} as const;
export type HashAlgorithm = keyof typeof HASH_ALGORITHMS;

/** TCG_EfiSpecIDEvent: signature of the log's first event (§10.4.5.1). */
export const SPEC_ID = "Spec ID Event03\0";
/** Digest of the first event, which is in the format of TPM 1.2. */
export const SHA1_SIZE = 20;

/** TCG_EfiStartupLocalityEvent (§10.4.5.3). */
export const STARTUP_LOCALITY = "StartupLocality\0";

/** PCRs of a PC (§3.3.4); registers 17 to 22 start with all bits set. */
export const PCR_COUNT = 24;
export const DYNAMIC_PCRS: readonly [first: number, last: number] = [17, 22];

/** Safety limits, not format rules: real logs have some 100 events in 64 KiB, of a few KiB each. */
export const MAX_LOG_SIZE = 16 * 1024 * 1024;
export const MAX_EVENT_SIZE = 1024 * 1024;
export const MAX_EVENT_COUNT = 65_536;
/** Safety limit: a log lists the banks of its TPM, of which there are five kinds. */
export const MAX_ALGORITHM_COUNT = 16;
