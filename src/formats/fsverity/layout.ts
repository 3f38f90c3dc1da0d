/**
 * On-disk constants of fs-verity.
 *
 * @see Linux Documentation/filesystems/fsverity.rst, "Merkle tree" and "fs-verity descriptor"
 */

/** The only block size composefs uses, for data and for the Merkle tree alike. */
export const VERITY_BLOCK_SIZE = 4096;

/** Offsets in struct fsverity_descriptor; integers are little-endian, what is not named here is zero. */
export const VERITY_DESCRIPTOR = {
  version: 0,
  hashAlgorithm: 1,
  logBlockSize: 2,
  saltSize: 3,
  dataSize: 8,
  /** 64 bytes; a shorter hash is filled up with zeros on the right. */
  rootHash: 16,
  size: 256,
} as const;

export const VERITY_DESCRIPTOR_VERSION = 1;
export const VERITY_LOG_BLOCK_SIZE = 12;
