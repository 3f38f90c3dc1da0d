import { createZstdCompress, zstdCompressSync } from "node:zlib";
import { setField, viewOf } from "../../lib/bytes/field.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../fsverity/index.ts";
import {
  BLOCK_BITS,
  HEADER,
  HEADER_SIZE,
  INFO_CONTENT_TYPE,
  INFO_SIZE,
  INFO_TOTAL_SIZE,
  MAGIC,
  SECTIONS,
  type SectionName,
  VERSION,
} from "./layout.ts";

/** Streams and images that a stream keeps alive, by name. */
export type SplitStreamRefs = ReadonlyMap<string, Uint8Array>;

/** Inline bytes that are gathered into one chunk: a bound on memory, not a rule of the format. */
const INLINE_CHUNK_MAX = 1 << 22;

const NO_REFS: SplitStreamRefs = new Map();

/**
 * Encodes a split stream from the parts of its original, in order. Holds the compressed stream and the digests.
 */
export class SplitStreamWriter {
  readonly #algorithm: VerityAlgorithm;
  readonly #contentType: string;
  readonly #zstd = createZstdCompress();
  readonly #compressed: Uint8Array[] = [];
  readonly #objects = new Map<string, number>();
  #inline: Uint8Array[] = [];
  #inlineSize = 0;
  #size = 0;
  #written: Promise<void> = Promise.resolve();

  /** @param contentType one of `CONTENT_TYPES` */
  constructor(contentType: string, algorithm: VerityAlgorithm) {
    this.#contentType = contentType;
    this.#algorithm = algorithm;
    this.#zstd.on("data", (chunk: Buffer) => this.#compressed.push(chunk));
  }

  /** @param bytes not to be changed afterwards */
  inline(bytes: Uint8Array): void {
    this.#size += bytes.length;
    this.#inlineSize += bytes.length;
    this.#inline.push(bytes);
    if (this.#inlineSize >= INLINE_CHUNK_MAX) this.#endInline();
  }

  /** @param size bytes of the object */
  external(digest: Uint8Array, size: number): void {
    this.#endInline();
    this.#size += size;
    const hex = toHex(digest);
    const index = this.#objects.get(hex) ?? this.#objects.size;
    this.#objects.set(hex, index);
    this.#write(encodeHead(BigInt(index)));
  }

  /** Resolves when not much waits for the compressor. */
  async drained(): Promise<void> {
    if (!this.#zstd.writableNeedDrain) return;
    await new Promise<void>((resolve) => this.#zstd.once("drain", () => resolve()));
  }

  /** @returns the whole file */
  async finish(refs: SplitStreamRefs = NO_REFS): Promise<Uint8Array> {
    this.#endInline();
    // An end that comes while a chunk is compressed is compressed with it: other bytes, and a matter of luck.
    await this.#written;
    const ended = new Promise<void>((resolve, reject) => this.#zstd.once("end", resolve).once("error", reject));
    this.#zstd.end();
    await ended;
    const { digestSize } = VERITY_ALGORITHMS[this.#algorithm];
    const objectRefs = Buffer.from([...this.#objects.keys()].join(""), "hex");
    const { named, streams } = encodeRefs(refs);
    const sections: Record<SectionName, Uint8Array> = {
      streamRefs: Buffer.concat(streams, streams.length * digestSize),
      objectRefs,
      namedRefs: named,
      stream: Buffer.concat(this.#compressed),
    };
    this.#compressed.length = 0;
    return this.#assemble(sections);
  }

  #assemble(sections: Readonly<Record<SectionName, Uint8Array>>): Uint8Array {
    const header = new Uint8Array(HEADER_SIZE);
    header.set(Buffer.from(MAGIC));
    const fields = viewOf(header);
    const infoEnd = HEADER_SIZE + INFO_SIZE;
    setField(fields, HEADER.version, VERSION);
    setField(fields, HEADER.algorithm, VERITY_ALGORITHMS[this.#algorithm].id);
    setField(fields, HEADER.blockBits, BLOCK_BITS);
    setField(fields, HEADER.infoStart, HEADER_SIZE);
    setField(fields, HEADER.infoEnd, infoEnd);

    const info = new Uint8Array(INFO_SIZE);
    const view = viewOf(info);
    let at = infoEnd;
    for (const name of WRITTEN_ORDER) {
      const field = 16 * SECTIONS.indexOf(name);
      view.setBigUint64(field, BigInt(at), true);
      at += sections[name].length;
      view.setBigUint64(field + 8, BigInt(at), true);
    }
    info.set(Buffer.from(this.#contentType), INFO_CONTENT_TYPE);
    view.setBigUint64(INFO_TOTAL_SIZE, BigInt(this.#size), true);
    return Buffer.concat([header, info, ...WRITTEN_ORDER.map((name) => sections[name])]);
  }

  #endInline(): void {
    if (this.#inlineSize === 0) return;
    this.#write(Buffer.concat([encodeHead(-BigInt(this.#inlineSize)), ...this.#inline]));
    this.#inline = [];
    this.#inlineSize = 0;
  }

  #write(bytes: Uint8Array): void {
    this.#written = new Promise((resolve, reject) =>
      this.#zstd.write(bytes, (error) => (error instanceof Error ? reject(error) : resolve())),
    );
  }
}

/** The sections follow each other in this order, without gaps. */
const WRITTEN_ORDER = ["streamRefs", "objectRefs", "namedRefs", "stream"] as const satisfies readonly SectionName[];

function encodeHead(value: bigint): Uint8Array {
  const head = Buffer.alloc(8);
  head.writeBigInt64LE(value);
  return head;
}

/** Each digest once, in the order of the names as they were given; the names sorted. */
function encodeRefs(refs: SplitStreamRefs): { readonly streams: Uint8Array[]; readonly named: Uint8Array } {
  const indices = new Map<string, number>();
  const streams: Uint8Array[] = [];
  const lines = [...refs].map(([name, digest]) => {
    const hex = toHex(digest);
    const index = indices.get(hex) ?? streams.length;
    if (!indices.has(hex)) streams.push(digest);
    indices.set(hex, index);
    return [name, `${index}:${name}\0`] as const;
  });
  const sorted = lines.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
  return { streams, named: zstdCompressSync(Buffer.from(sorted.join(""))) };
}
