/** Contents on a disk that is read, for one that is written. */
import { type Ext4Volume, readFile, readInode } from "../../formats/ext4/index.ts";
import { type FatEntry, type FatVolume, readFatFile } from "../../formats/fat/index.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import type { StoredContent } from "./content.ts";
import type { DiskSource } from "./file-source.ts";

/** A file of the root file system from some byte on; what fs-verity stores lies behind its end. */
export class StoredRootFile implements StoredContent {
  readonly kind = "stored";
  readonly ino: number;
  readonly #volume: Ext4Volume;
  readonly #offset: number;

  constructor(volume: Ext4Volume, ino: number, offset: number) {
    this.ino = ino;
    this.#volume = volume;
    this.#offset = offset;
  }

  read(from: number, size: number): Iterable<Uint8Array> {
    return readFile(this.#volume, readInode(this.#volume, this.ino), this.#offset + from, size);
  }
}

/** A file of the ESP, which is read from its start to its end. */
export class StoredEspFile implements StoredContent {
  readonly kind = "stored";
  readonly #volume: FatVolume;
  readonly #entry: FatEntry;

  constructor(volume: FatVolume, entry: FatEntry) {
    this.#volume = volume;
    this.#entry = entry;
  }

  read(from: number, size: number): Iterable<Uint8Array> {
    if (from !== 0 || size !== this.#entry.size) {
      throw new FormatError("disk.esp.file-range", {
        what: `ESP file ${quote(this.#entry.name)}`,
        expected: `all ${this.#entry.size} bytes`,
        found: `${size} from byte ${from} on`,
      });
    }
    return readFatFile(this.#volume, this.#entry);
  }
}

/** Bytes that are copied at a time: small enough that holes of a disk stay holes. */
const CHUNK_SIZE = 65_536;

/** The disk itself. */
export class StoredRange implements StoredContent {
  readonly kind = "stored";
  readonly #disk: DiskSource;
  readonly #chunk = new Uint8Array(CHUNK_SIZE);

  constructor(disk: DiskSource) {
    this.#disk = disk;
  }

  *read(from: number, size: number): Generator<Uint8Array, void, void> {
    for (let at = from; at < from + size; ) {
      const length = Math.min(CHUNK_SIZE - (at % CHUNK_SIZE), from + size - at);
      const chunk = this.#chunk.subarray(0, length);
      this.#disk.fill(at, chunk);
      yield chunk;
      at += length;
    }
  }
}
