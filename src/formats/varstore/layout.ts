import { type Guid, parseGuid } from "../../lib/bytes/guid.ts";

/** EFI_FIRMWARE_VOLUME_HEADER with one block map entry and its end (UEFI PI 1.8 volume 3 §3.2.1). */
export const VOLUME_HEADER_SIZE = 0x48;
export const VOLUME_SIGNATURE = "_FVH";
/** gEfiSystemNvDataFvGuid: a volume that holds variables. */
export const NV_DATA_VOLUME: Guid = parseGuid("fff12b8d-7696-4c8b-a985-2747075b4f50");

/** VARIABLE_STORE_HEADER (edk2 MdeModulePkg/Include/Guid/VariableFormat.h). */
export const STORE_HEADER_SIZE = 28;
/** gEfiAuthenticatedVariableGuid: records have room for a time, as Secure Boot needs. */
export const AUTHENTICATED_STORE: Guid = parseGuid("aaf32c78-947b-439a-a180-2e144ec37792");
/** gEfiVariableGuid: records without it. */
export const PLAIN_STORE: Guid = parseGuid("ddcf3616-3275-4164-98b6-fe85707ffe7d");
export const STORE_FORMATTED = 0x5a;
export const STORE_HEALTHY = 0xfe;

/** Offset of the first record; the same in every build, because both headers have fixed sizes. */
export const FIRST_RECORD = VOLUME_HEADER_SIZE + STORE_HEADER_SIZE;

/** AUTHENTICATED_VARIABLE_HEADER up to the name. */
export const RECORD_HEADER_SIZE = 60;
export const RECORD_MAGIC = 0x55aa;
export const RECORD_ALIGNMENT = 4;
/** Erased flash. Bits can be cleared one by one, which is how the states follow each other. */
export const ERASED = 0xff;

/** States of a record that still counts. */
export const STATE_ADDED = 0x3f;
/** Being replaced: counts as long as there is no added record of the same variable. */
export const STATE_REPLACING = 0x3e;

/** Largest file taken: AAVMF has 64 MiB. Safety limit, not a format rule. */
export const MAX_STORE_FILE_SIZE = 64 * 1024 * 1024;
