/**
 * Variable stores of edk2 firmware: the flash images OVMF_VARS and AAVMF_VARS, in which a virtual machine keeps its
 * UEFI variables.
 *
 *     0        0x48     0x64                          store end (0xe000 in the 2M build of OVMF, else 0x40000)
 *     +--------+--------+----------+----------+-------+--------------------------------------------+
 *     | volume | store  | variable | variable | 0xff… | event log, fault-tolerant write: untouched |
 *     | header | header |          |          |       |                                            |
 *     +--------+--------+----------+----------+-------+--------------------------------------------+
 *     variable: magic 0x55aa, state, attributes, count, EFI_TIME, key index, sizes, vendor, name, data
 *
 * Follows edk2 MdeModulePkg/Include/Guid/VariableFormat.h and UEFI PI 1.8 volume 3 §3.2. Writes the bytes of
 * virt-fw-vars. Not supported: stores without authenticated variables, a store that is not the first volume of its file,
 * the JSON store of QEMU's own variable service.
 */
export { MAX_STORE_FILE_SIZE } from "./layout.ts";
export { parseVariableStore, type StoredVariable, type VariableStore } from "./read.ts";
export { updateVariableStore, type VariableValue } from "./write.ts";
