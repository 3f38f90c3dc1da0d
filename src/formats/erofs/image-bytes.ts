import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { type Field, getField, viewOf } from "../../lib/bytes/field.ts";
import { refuse } from "./refuse.ts";

/** The bytes of an image that is read: nothing outside of them is looked at. */
export class ImageBytes {
  readonly bytes: Buffer;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = viewOf(bytes);
  }

  get size(): number {
    return this.bytes.length;
  }

  /** @throws {FormatError} `erofs.truncated` */
  require(at: number, size: number, what: string, end: number = this.size): void {
    if (at >= 0 && at + size <= end) return;
    throw refuse("erofs.truncated", what, at, `${size} bytes`, `${Math.max(0, end - at)} left`);
  }

  /** A field of the structure at `at`. 64-bit values above 2^53 are rounded: no image is so large. */
  get(at: number, [offset, size]: Field): number {
    return getField(this.view, [at + offset, size]);
  }

  string(from: number, to: number): ByteString {
    return this.bytes.toString("latin1", from, to) as ByteString;
  }
}
