/**
 * UEFI variables of EC2: what `aws ec2 register-image --uefi-data` takes, in base64.
 *
 *     0          8        12        16
 *     +----------+--------+---------+--------------------------------------------------+
 *     | AMZNUEFI | CRC32C | version | zlib: count, then variables                      |
 *     +----------+--------+---------+--------------------------------------------------+
 *                         |<------------------- checksum is of this ------------------>|
 *     variable: name, data (each a 64-bit length and bytes), vendor GUID, attributes,
 *               and where attributes say time-based authentication: EFI_TIME, digest (length and 32 bytes)
 *
 * Numbers are little-endian. Follows the reader of python-uefivars 1.2, which Amazon publishes; there is no specification.
 * EC2 itself compresses with a preset dictionary, which such data names: without that dictionary it cannot be read. What
 * is written here uses none, which zlib leaves to the writer. Only version 0 is known.
 */
export { MAX_UEFI_DATA_SIZE } from "./layout.ts";
export { type AwsVariable, parseAwsVariables } from "./read.ts";
export { encodeAwsVariables } from "./write.ts";
