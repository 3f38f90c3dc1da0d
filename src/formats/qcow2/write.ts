import { deflateRawSync } from "node:zlib";
import { alignUp } from "../../lib/bytes/numbers.ts";
import type { BytesPiece } from "../../lib/bytes/piece.ts";
import { FormatError } from "../../lib/errors.ts";
import { type Cluster, toClusters } from "./clusters.ts";
import {
  CLUSTER_BITS,
  CLUSTER_SIZE,
  COMPRESSED_HI,
  COPIED_HI,
  HEADER,
  HEADER_SIZE_V3,
  L1_SIZE_MAX,
  L2_ENTRIES,
  MAGIC,
  REFCOUNT_ORDER,
  REFCOUNTS_PER_BLOCK,
  WINDOW_BITS,
} from "./layout.ts";

export interface Qcow2Options {
  /** Bytes of the disk inside, a multiple of 512. */
  readonly size: number;
  /** Deflates clusters. The bytes then depend on the version of zlib. */
  readonly compress?: boolean;
}

const SECTOR_SIZE = 512;
/** Virtual bytes of one L2 table. */
const L2_SPAN = L2_ENTRIES * CLUSTER_SIZE;

/**
 * Encodes a qcow2 image, version 3, from the bytes of a disk.
 *
 * Clusters of zeros are left out, whether they were holes or not. Holds one cluster and the tables: 8 bytes for each
 * 64 KiB of the disk that is in use.
 *
 * @param disk pieces in ascending order without overlap; they are copied or passed on before the next is pulled
 * @returns pieces in ascending order, except that the header comes last, at offset 0: what was interrupted is no image
 * @throws {FormatError} `qcow2.size` before the first piece
 * @throws {RangeError} when the pieces are not in order or leave the disk
 * @see QEMU docs/interop/qcow2.rst
 */
export async function* encodeQcow2(
  disk: Iterable<BytesPiece> | AsyncIterable<BytesPiece>,
  { size, compress = false }: Qcow2Options,
): AsyncGenerator<BytesPiece, void, void> {
  const l1Size = Math.ceil(size / L2_SPAN);
  if (size % SECTOR_SIZE !== 0 || size <= 0 || l1Size > L1_SIZE_MAX) {
    throw new FormatError("qcow2.size", {
      what: "qcow2 disk size",
      expected: `a multiple of ${SECTOR_SIZE}, at most ${L1_SIZE_MAX * L2_SPAN}`,
      found: `${size} bytes`,
    });
  }
  const tables = new Tables();
  for await (const cluster of toClusters(disk, size)) {
    const deflated = compress ? deflate(cluster) : undefined;
    if (deflated === undefined) yield { offset: tables.addPlain(cluster.index), bytes: cluster.bytes };
    else yield { offset: tables.addCompressed(cluster.index, deflated.length), bytes: deflated };
  }
  yield* tables.encode(size, l1Size);
}

/** @returns undefined when nothing is gained */
function deflate({ bytes }: Cluster): Uint8Array | undefined {
  const deflated = deflateRawSync(bytes, { windowBits: WINDOW_BITS });
  return deflated.length < CLUSTER_SIZE - SECTOR_SIZE ? deflated : undefined;
}

/** Where clusters went, and how often each cluster of the image is used. */
class Tables {
  /** L2 tables by index in L1. */
  readonly #l2 = new Map<number, DataView>();
  /** By cluster of the image; the header is the first. */
  readonly #refcounts: number[] = [1];
  #end = CLUSTER_SIZE;

  /** @returns the offset of a whole new cluster in the image */
  #take(): number {
    const offset = alignUp(this.#end, CLUSTER_SIZE);
    this.#end = offset + CLUSTER_SIZE;
    this.#refcounts[offset / CLUSTER_SIZE] = 1;
    return offset;
  }

  addPlain(index: number): number {
    const offset = this.#take();
    this.#map(index, COPIED_HI + Math.floor(offset / 2 ** 32), offset % 2 ** 32);
    return offset;
  }

  /** Compressed clusters follow each other without gaps and may cross clusters of the image. */
  addCompressed(index: number, size: number): number {
    const offset = this.#end;
    this.#end += size;
    const last = this.#end - 1;
    for (let used = Math.floor(offset / CLUSTER_SIZE); used <= Math.floor(last / CLUSTER_SIZE); used++) {
      this.#refcounts[used] = (this.#refcounts[used] ?? 0) + 1;
    }
    const moreSectors = Math.floor(last / SECTOR_SIZE) - Math.floor(offset / SECTOR_SIZE);
    // The descriptor of a compressed cluster: offset in bits 0 to 53, further sectors in 54 to 61.
    this.#map(index, COMPRESSED_HI + moreSectors * 2 ** 22 + Math.floor(offset / 2 ** 32), offset % 2 ** 32);
    return offset;
  }

  #map(index: number, hi: number, lo: number): void {
    const l1Index = Math.floor(index / L2_ENTRIES);
    let table = this.#l2.get(l1Index);
    if (table === undefined) this.#l2.set(l1Index, (table = new DataView(new ArrayBuffer(CLUSTER_SIZE))));
    putEntry(table, index % L2_ENTRIES, hi, lo);
  }

  *encode(size: number, l1Size: number): Generator<BytesPiece, void, void> {
    const l1 = new DataView(new ArrayBuffer(l1Size * 8));
    for (const [l1Index, table] of this.#l2) {
      const offset = this.#take();
      putEntry(l1, l1Index, COPIED_HI + Math.floor(offset / 2 ** 32), offset % 2 ** 32);
      yield { offset, bytes: new Uint8Array(table.buffer) };
    }
    const l1Offset = this.#takeAll(l1.byteLength);
    yield { offset: l1Offset, bytes: padded(l1) };

    // The refcount structures count themselves.
    const before = this.#refcounts.length;
    let blocks = 0;
    let tableClusters = 0;
    while (blocks * REFCOUNTS_PER_BLOCK < before + blocks + tableClusters) {
      blocks++;
      tableClusters = Math.ceil((blocks * 8) / CLUSTER_SIZE);
    }
    const refcountTable = new DataView(new ArrayBuffer(blocks * 8));
    const blocksOffset = this.#takeAll(blocks * CLUSTER_SIZE);
    for (let block = 0; block < blocks; block++) {
      const offset = blocksOffset + block * CLUSTER_SIZE;
      putEntry(refcountTable, block, Math.floor(offset / 2 ** 32), offset % 2 ** 32);
    }
    const refcountTableOffset = this.#takeAll(refcountTable.byteLength);
    for (let block = 0; block < blocks; block++) {
      const view = new DataView(new ArrayBuffer(CLUSTER_SIZE));
      const counts = this.#refcounts.slice(block * REFCOUNTS_PER_BLOCK, (block + 1) * REFCOUNTS_PER_BLOCK);
      for (const [i, count] of counts.entries()) view.setUint16(i * 2, count);
      yield { offset: blocksOffset + block * CLUSTER_SIZE, bytes: new Uint8Array(view.buffer) };
    }
    yield { offset: refcountTableOffset, bytes: padded(refcountTable) };
    yield { offset: 0, bytes: encodeHeader({ size, l1Size, l1Offset, refcountTableOffset, tableClusters }) };
  }

  #takeAll(size: number): number {
    const offset = this.#take();
    for (let more = CLUSTER_SIZE; more < size; more += CLUSTER_SIZE) this.#take();
    return offset;
  }
}

function putEntry(table: DataView, index: number, hi: number, lo: number): void {
  table.setUint32(index * 8, hi);
  table.setUint32(index * 8 + 4, lo);
}

/** Tables fill whole clusters, so that the image ends with one. */
function padded(table: DataView): Uint8Array {
  const bytes = new Uint8Array(alignUp(table.byteLength, CLUSTER_SIZE));
  bytes.set(new Uint8Array(table.buffer));
  return bytes;
}

function encodeHeader(header: {
  size: number;
  l1Size: number;
  l1Offset: number;
  refcountTableOffset: number;
  tableClusters: number;
}): Uint8Array {
  const bytes = new Uint8Array(CLUSTER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(HEADER.magic, MAGIC);
  view.setUint32(HEADER.version, 3);
  view.setUint32(HEADER.clusterBits, CLUSTER_BITS);
  view.setBigUint64(HEADER.size, BigInt(header.size));
  view.setUint32(HEADER.l1Size, header.l1Size);
  view.setBigUint64(HEADER.l1TableOffset, BigInt(header.l1Offset));
  view.setBigUint64(HEADER.refcountTableOffset, BigInt(header.refcountTableOffset));
  view.setUint32(HEADER.refcountTableClusters, header.tableClusters);
  view.setUint32(HEADER.refcountOrder, REFCOUNT_ORDER);
  view.setUint32(HEADER.headerLength, HEADER_SIZE_V3);
  // No header extensions: the zeros that follow are their end.
  return bytes;
}
