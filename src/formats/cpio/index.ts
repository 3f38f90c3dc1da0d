/**
 * cpio in the "new ASCII" (newc) format, and the initramfs made of it.
 *
 *     +--------------------+----------+---------+-----+------------------------+------+---------------------------+
 *     | 070701 + 13 × 8hex | name NUL | content | …   | … TRAILER!!!           | NULs | gzip or zstd of the same  |
 *     +--------------------+----------+---------+-----+------------------------+------+---------------------------+
 *      `- each padded to 4 -----------^---------^      `- one archive -----------------`- the next member
 *
 * Written after Linux buffer-format.rst and init/initramfs.c. The older binary and octal formats are not supported;
 * members packed with xz, lz4, lzma, lzo or bzip2 are named but not opened.
 */
export {
  type InitramfsCompression,
  type InitramfsMember,
  listInitramfs,
  requireInitramfsEntries,
} from "./initramfs.ts";
export { type CpioArchive, type CpioEntry, isCpio, readCpio } from "./read.ts";
export { type CpioInput, encodeCpio } from "./write.ts";
