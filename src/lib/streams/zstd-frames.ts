/**
 * Cuts a zstd stream at its frame boundaries, by walking frame and block headers.
 *
 *     | magic 4 | descriptor 1 | window 0..1 | dictionary id 0..4 | content size 0..8 | block .. | checksum 0..4 |
 *     block: | header 3: last 1 bit, type 2, size 21 | content |
 *     skippable frame: | 184d2a50..5f | size 4 | content |
 *
 * Needed because node:zlib of Node 24 stops silently after the first frame of what it is given (nodejs/node#64741),
 * while layers in the zstd:chunked style are many frames with skippable ones between.
 *
 * @see RFC 8878, sections 3.1.1 and 3.1.2
 */
import { FormatError } from "../errors.ts";

const ZSTD_MAGIC = 0xfd2fb528;
/** Low four bits are free. */
const SKIPPABLE_MAGIC = 0x184d2a50;

/** Block_Type, section 3.1.1.2.2. */
const BLOCK = { raw: 0, rle: 1, compressed: 2, reserved: 3 } as const;
/** Block_Maximum_Size, section 3.1.1.2.4: the smaller one of this and the window. */
const BLOCK_SIZE_MAX = 128 << 10;

/** Largest window that is decoded. A safety limit: what `zstd --long` writes; it is memory that a layer can ask for. */
export const ZSTD_WINDOW_LOG_MAX = 27;

/** A run of bytes of one frame. */
export interface FramePiece {
  /** View into the chunk or into a small buffer of the walker's own. */
  readonly bytes: Uint8Array;
  readonly skippable: boolean;
  readonly last: boolean;
  /** Most bytes that the frame decodes to: from its header, or with the last piece from its blocks. */
  readonly decodedMax: bigint | undefined;
}

/** What the collected header bytes are. */
type Step = "magic" | "skippableSize" | "descriptor" | "frameHeader" | "blockHeader" | "endFrame";

/** A push parser: `push` chunks of any size, then `end`. */
export class ZstdFrames {
  #offset = 0;
  /** Header bytes collected so far, and how many the next step wants. */
  readonly #header = new Uint8Array(18);
  #fill = 0;
  #want = 4;
  #step: Step = "magic";
  /** Bytes of content before the next header. */
  #skip = 0;
  #pieces: FramePiece[] = [];
  #frames = 0;
  #skippable = false;
  #contentSize: bigint | undefined;
  #blocks = 0;
  #blockSizeMax = BLOCK_SIZE_MAX;
  #hasChecksum = false;
  #frameEnded = false;

  /**
   * @returns pieces that cover the chunk; nothing is copied but headers that lie across chunks
   * @throws {FormatError} `zstd.magic-unknown`, `zstd.frame.reserved-bit`, `zstd.window.too-large`, `zstd.block.*`
   */
  push(chunk: Uint8Array): readonly FramePiece[] {
    this.#pieces = [];
    let from = 0;
    let at = 0;
    while (at < chunk.length) {
      const wanted = this.#skip > 0 ? this.#skip : this.#want - this.#fill;
      const taken = Math.min(wanted, chunk.length - at);
      if (this.#skip > 0) this.#skip -= taken;
      else {
        this.#header.set(chunk.subarray(at, at + taken), this.#fill);
        this.#fill += taken;
      }
      at += taken;
      this.#offset += taken;
      if (this.#skip === 0 && this.#fill === this.#want) this.#advance(this.#header);
      if (this.#frameEnded) {
        this.#emit(chunk.subarray(from, at), true);
        from = at;
        this.#begin();
      }
    }
    if (from < chunk.length) this.#emit(chunk.subarray(from), false);
    return this.#pieces;
  }

  /** @throws {FormatError} `zstd.truncated` within a frame, or when there was none at all */
  end(): void {
    const between = this.#step === "magic" && this.#fill === 0 && this.#frames > 0;
    if (between) return;
    throw new FormatError("zstd.truncated", {
      what: "zstd stream",
      offset: this.#offset,
      expected: this.#frames === 0 ? "a whole frame" : "the rest of a frame",
      found: "the end",
    });
  }

  #emit(bytes: Uint8Array, last: boolean): void {
    const decodedMax = this.#contentSize ?? (last ? BigInt(this.#blocks * this.#blockSizeMax) : undefined);
    this.#pieces.push({ bytes, last, skippable: this.#skippable, decodedMax });
  }

  #begin(): void {
    this.#frameEnded = false;
    this.#skippable = false;
    this.#contentSize = undefined;
    this.#blocks = 0;
    this.#frames++;
    this.#next("magic", 4, 0);
  }

  /** Skips content, then collects a header up to `want` bytes, of which `fill` are there. */
  #next(step: Step, want: number, skip: number, fill = 0): void {
    this.#step = step;
    this.#want = want;
    this.#skip = skip;
    this.#fill = fill;
    // Content without a header after it ends the frame as soon as it has passed.
    if (want === fill && skip === 0) this.#advance(this.#header);
  }

  #advance(header: Uint8Array): void {
    switch (this.#step) {
      case "magic":
        return this.#magic(header);
      case "skippableSize":
        return this.#next("endFrame", 0, u32(header, 4));
      case "descriptor":
        return this.#descriptor(header);
      case "frameHeader":
        return this.#frameHeader(header);
      case "blockHeader":
        return this.#blockHeader(header);
      case "endFrame":
        this.#frameEnded = true;
        return;
      default:
        this.#step satisfies never;
    }
  }

  #magic(header: Uint8Array): void {
    const magic = u32(header, 0);
    if ((magic & ~0xf) >>> 0 === SKIPPABLE_MAGIC) {
      this.#skippable = true;
      this.#next("skippableSize", 8, 0, 4);
    } else if (magic === ZSTD_MAGIC) {
      this.#next("descriptor", 5, 0, 4);
    } else {
      throw this.#refuse(
        "zstd.magic-unknown",
        "magic",
        "fd2fb528 or 184d2a50 to 5f",
        magic.toString(16).padStart(8, "0"),
        4,
      );
    }
  }

  #descriptor(header: Uint8Array): void {
    const descriptor = header[4] as number;
    if (descriptor & 0x08)
      throw this.#refuse("zstd.frame.reserved-bit", "frame header descriptor", "bit 3 clear", "it set", 1);
    this.#hasChecksum = (descriptor & 0x04) !== 0;
    const { size } = frameHeader(descriptor);
    this.#next("frameHeader", 4 + size, 0, 5);
  }

  #frameHeader(header: Uint8Array): void {
    const { singleSegment, contentSizeAt, contentSizeSize, size } = frameHeader(header[4] as number);
    if (contentSizeSize > 0) this.#contentSize = contentSize(header, 4 + contentSizeAt, contentSizeSize);
    const window = singleSegment ? (this.#contentSize as bigint) : windowSize(header[5] as number);
    if (window > 1n << BigInt(ZSTD_WINDOW_LOG_MAX)) {
      throw this.#refuse(
        "zstd.window.too-large",
        "window",
        `at most 2^${ZSTD_WINDOW_LOG_MAX} bytes`,
        `${window} bytes`,
        size,
      );
    }
    this.#blockSizeMax = Math.min(BLOCK_SIZE_MAX, Number(window));
    this.#next("blockHeader", 3, 0);
  }

  #blockHeader(header: Uint8Array): void {
    const bits = u32(header, 0) & 0xffffff;
    const type = (bits >> 1) & 3;
    const size = bits >> 3;
    if (type === BLOCK.reserved) throw this.#refuse("zstd.block.type-reserved", "block header", "type 0 to 2", "3", 3);
    if (size > this.#blockSizeMax) {
      throw this.#refuse(
        "zstd.block.too-large",
        "block header",
        `at most ${this.#blockSizeMax} bytes`,
        `${size} bytes`,
        3,
      );
    }
    this.#blocks++;
    const last = (bits & 1) !== 0;
    const stored = type === BLOCK.rle ? 1 : size;
    if (!last) this.#next("blockHeader", 3, stored);
    else this.#next("endFrame", 0, stored + (this.#hasChecksum ? 4 : 0));
  }

  #refuse(code: string, field: string, expected: string, found: string, back: number): FormatError {
    return new FormatError(code, { what: `zstd frame: ${field}`, offset: this.#offset - back, expected, found });
  }
}

/** Sizes of the optional fields after the descriptor (sections 3.1.1.1.1 to 3.1.1.1.4), from the magic's end. */
function frameHeader(descriptor: number): {
  singleSegment: boolean;
  contentSizeAt: number;
  contentSizeSize: number;
  size: number;
} {
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryIdSize = [0, 1, 2, 4][descriptor & 3] as number;
  const contentSizeSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  const contentSizeAt = 1 + (singleSegment ? 0 : 1) + dictionaryIdSize;
  return { singleSegment, contentSizeAt, contentSizeSize, size: contentSizeAt + contentSizeSize };
}

function contentSize(header: Uint8Array, at: number, size: number): bigint {
  let value = 0n;
  for (let index = size - 1; index >= 0; index--) value = (value << 8n) | BigInt(header[at + index] as number);
  return size === 2 ? value + 256n : value;
}

/** Section 3.1.1.1.2: exponent and mantissa. */
function windowSize(byte: number): bigint {
  const base = 1n << BigInt(10 + (byte >> 3));
  return base + (base / 8n) * BigInt(byte & 7);
}

function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}
