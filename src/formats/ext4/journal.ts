import { BLOCK_SIZE } from "./layout.ts";

/** journal.rst; unlike the rest of ext4, all integers are big-endian. */
const MAGIC = 0xc03b3998;
const SUPERBLOCK_V2 = 4;

/** First block of an empty journal: version 2, no features, which the kernel adds at the first mount. */
export function encodeJournalSuperblock(blockCount: number): Uint8Array {
  const block = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(block.buffer);
  view.setUint32(0x00, MAGIC);
  view.setUint32(0x04, SUPERBLOCK_V2);
  view.setUint32(0x0c, BLOCK_SIZE);
  view.setUint32(0x10, blockCount); // s_maxlen
  view.setUint32(0x14, 1); // s_first: first block of the log
  view.setUint32(0x18, 1); // s_sequence
  // s_start at 0x1c stays 0: nothing to replay.
  view.setUint32(0x40, 1); // s_nr_users
  return block;
}
