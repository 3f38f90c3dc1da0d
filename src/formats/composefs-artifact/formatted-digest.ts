import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../fsverity/index.ts";

/**
 * What a built-in signature of fs-verity is over: magic, algorithm and size in little endian, digest.
 *
 * @see Linux include/uapi/linux/fsverity.h, struct fsverity_formatted_digest
 */
export function formattedDigest(algorithm: VerityAlgorithm, digest: Uint8Array): Uint8Array {
  const head = Buffer.from("FSVerity\0\0\0\0", "latin1");
  head.writeUInt16LE(VERITY_ALGORITHMS[algorithm].id, 8);
  head.writeUInt16LE(digest.length, 10);
  return Buffer.concat([head, digest]);
}
