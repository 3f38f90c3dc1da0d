import { FormatError } from "../../lib/errors.ts";

/** RFC 8878 section 3.1.1: bytes of Dictionary_ID and Frame_Content_Size by the flags of Frame_Header_Descriptor. */
const DICTIONARY_ID_SIZES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_SIZES = [0, 2, 4, 8] as const;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

/**
 * Finds where a zstd frame ends, since the decoder does not tell.
 *
 * @throws {FormatError} `cpio.zstd.truncated`, `cpio.zstd.block`
 * @see RFC 8878, sections 3.1.1.1 and 3.1.1.2
 */
export function zstdFrameEnd(bytes: Uint8Array, start: number): number {
  const need = (offset: number, size: number): number => {
    if (offset + size <= bytes.length) return offset;
    throw new FormatError("cpio.zstd.truncated", {
      what: "zstd frame",
      offset,
      expected: `${size} bytes`,
      found: `${Math.max(0, bytes.length - offset)} left`,
    });
  };
  const byte = (offset: number): number => bytes[need(offset, 1)] as number;
  const descriptor = byte(start + 4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentSizeFlag = descriptor >> 6;
  const contentSizeSize = contentSizeFlag === 0 && isSingleSegment ? 1 : (CONTENT_SIZE_SIZES[contentSizeFlag] ?? 0);
  const dictionarySize = DICTIONARY_ID_SIZES[descriptor & 3] ?? 0;
  let at = start + 5 + (isSingleSegment ? 0 : 1) + dictionarySize + contentSizeSize;
  for (let isLast = false; !isLast; ) {
    const header = byte(at) + byte(at + 1) * 0x100 + byte(at + 2) * 0x1_0000;
    const type = (header >> 1) & 3;
    if (type === BLOCK_RESERVED) {
      throw new FormatError("cpio.zstd.block", {
        what: "zstd block: type",
        offset: at,
        expected: "0 to 2",
        found: "3 (reserved)",
      });
    }
    at += 3 + (type === BLOCK_RLE ? 1 : header >> 3);
    isLast = (header & 1) === 1;
  }
  const end = at + ((descriptor & 4) === 0 ? 0 : 4);
  return need(end, 0);
}
