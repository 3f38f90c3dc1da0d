import { inflateRawSync } from "node:zlib";
import { type ByteSource, readRange } from "../../lib/bytes/byte-source.ts";
import { viewOf } from "../../lib/bytes/field.ts";
import { toSafeNumber } from "../../lib/bytes/numbers.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import {
  CLUSTER_BITS_MAX,
  CLUSTER_BITS_MIN,
  COMPRESSED,
  HEADER,
  HEADER_SIZE_V2,
  HEADER_SIZE_V3,
  INCOMPATIBLE_CORRUPT,
  INCOMPATIBLE_DIRTY,
  L1_SIZE_MAX,
  MAGIC,
  OFFSET_MASK,
  ZERO,
} from "./layout.ts";

interface Header {
  readonly version: number;
  readonly clusterBits: number;
  readonly size: number;
  readonly l1Size: number;
  readonly l1TableOffset: number;
}

/** L2 tables that are kept: at 64 KiB clusters each maps 512 MiB. Safety limit, not a format rule. */
const KEPT_TABLES = 8;

/**
 * Opens a qcow2 image for reading by position.
 *
 * @param file the image file
 * @returns the disk inside; its `read` throws {FormatError} `qcow2.*` where tables or compressed clusters are broken
 * @throws {FormatError} `qcow2.truncated`, `qcow2.magic`, `qcow2.header`
 * @throws {UnsupportedError} `qcow2.version`, `qcow2.backing-file`, `qcow2.encrypted`, `qcow2.feature`
 * @see QEMU docs/interop/qcow2.rst
 */
export function openQcow2(file: ByteSource): ByteSource {
  const header = parseHeader(file);
  const clusterSize = 1 << header.clusterBits;
  const l2Bits = header.clusterBits - 3;
  const l1 = readRange(file, header.l1TableOffset, header.l1Size * 8, "qcow2 L1 table", "qcow2.truncated").slice();
  const l1View = viewOf(l1);
  const tables = new Map<number, DataView | undefined>();

  const l2Table = (l1Index: number): DataView | undefined => {
    if (tables.has(l1Index)) return tables.get(l1Index);
    const offset = Number(l1View.getBigUint64(l1Index * 8) & OFFSET_MASK);
    const table =
      offset === 0
        ? undefined
        : viewOf(readRange(file, offset, clusterSize, `qcow2 L2 table ${l1Index}`, "qcow2.truncated").slice());
    const oldest = tables.keys().next();
    if (tables.size >= KEPT_TABLES && !oldest.done) tables.delete(oldest.value);
    tables.set(l1Index, table);
    return table;
  };

  /** Copies a part of one cluster; the target is zero where the cluster is not there. */
  const copy = (cluster: number, from: number, target: Uint8Array): void => {
    const table = l2Table(Math.floor(cluster / 2 ** l2Bits));
    const entry = table?.getBigUint64((cluster % 2 ** l2Bits) * 8) ?? 0n;
    if ((entry & COMPRESSED) !== 0n) {
      target.set(inflate(file, entry, header.clusterBits).subarray(from, from + target.length));
      return;
    }
    const offset = Number(entry & OFFSET_MASK);
    const isZero = offset === 0 || (header.version >= 3 && (entry & ZERO) !== 0n);
    if (!isZero)
      target.set(readRange(file, offset + from, target.length, `qcow2 cluster ${cluster}`, "qcow2.truncated"));
  };

  return {
    size: header.size,
    read: (offset, size) => {
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size; ) {
        const cluster = Math.floor((offset + at) / clusterSize);
        const from = (offset + at) % clusterSize;
        const part = bytes.subarray(at, at + clusterSize - from);
        copy(cluster, from, part);
        at += part.length;
      }
      return bytes;
    },
  };
}

function parseHeader(file: ByteSource): Header {
  const fixed = readRange(file, 0, HEADER_SIZE_V2, "qcow2 header", "qcow2.truncated");
  const view = viewOf(fixed.slice());
  const magic = view.getUint32(HEADER.magic);
  if (magic !== MAGIC) throw refuse("magic", HEADER.magic, "0x514649fb", `0x${magic.toString(16)}`);
  const version = view.getUint32(HEADER.version);
  if (version !== 2 && version !== 3) {
    throw new UnsupportedError("qcow2.version", `qcow2 header: version ${version} is not read, 2 and 3 are`);
  }
  if (view.getBigUint64(HEADER.backingFileOffset) !== 0n) {
    throw new UnsupportedError("qcow2.backing-file", "qcow2 header: the image has a backing file", {
      hint: "flatten it with qemu-img convert",
    });
  }
  if (view.getUint32(HEADER.cryptMethod) !== 0) {
    throw new UnsupportedError("qcow2.encrypted", "qcow2 header: the image is encrypted");
  }
  if (version === 3) requireFeatures(file);

  const clusterBits = view.getUint32(HEADER.clusterBits);
  if (clusterBits < CLUSTER_BITS_MIN || clusterBits > CLUSTER_BITS_MAX) {
    throw refuse("cluster bits", HEADER.clusterBits, `${CLUSTER_BITS_MIN} to ${CLUSTER_BITS_MAX}`, String(clusterBits));
  }
  const size = toSafeNumber(view.getBigUint64(HEADER.size), "qcow2 header: size", "qcow2.header");
  const l1Size = view.getUint32(HEADER.l1Size);
  const needed = Math.ceil(size / 2 ** (2 * clusterBits - 3));
  if (l1Size < needed || l1Size > L1_SIZE_MAX) {
    throw refuse("L1 size", HEADER.l1Size, `${needed} to ${L1_SIZE_MAX}`, String(l1Size));
  }
  const l1TableOffset = Number(view.getBigUint64(HEADER.l1TableOffset));
  return { version, clusterBits, size, l1Size, l1TableOffset };
}

function refuse(what: string, at: number, expected: string, found: string): FormatError {
  return new FormatError(at === HEADER.magic ? "qcow2.magic" : "qcow2.header", {
    what: `qcow2 header: ${what}`,
    offset: at,
    expected,
    found,
  });
}

function requireFeatures(file: ByteSource): void {
  const header = viewOf(readRange(file, 0, HEADER_SIZE_V3, "qcow2 header", "qcow2.truncated").slice());
  const features = header.getBigUint64(HEADER.incompatibleFeatures) & ~INCOMPATIBLE_DIRTY;
  if (features === 0n) return;
  const isCorrupt = (features & INCOMPATIBLE_CORRUPT) !== 0n;
  const reason = isCorrupt
    ? "the image is marked corrupt"
    : `incompatible features 0x${features.toString(16)} are not known`;
  throw new UnsupportedError("qcow2.feature", `qcow2 header: ${reason}`);
}

function inflate(file: ByteSource, entry: bigint, clusterBits: number): Uint8Array {
  const offsetBits = BigInt(62 - (clusterBits - 8));
  const offset = Number(entry & ((1n << offsetBits) - 1n));
  const moreSectors = Number((entry & (COMPRESSED - 1n)) >> offsetBits);
  const what = `qcow2 compressed cluster at ${offset}`;
  if (offset >= file.size) {
    throw new FormatError("qcow2.truncated", { what, expected: `below ${file.size}`, found: String(offset) });
  }
  // The last sector may end behind the end of the file.
  const end = Math.min(offset - (offset % 512) + (moreSectors + 1) * 512, file.size);
  const clusterSize = 1 << clusterBits;
  let bytes: Uint8Array;
  try {
    bytes = inflateRawSync(file.read(offset, end - offset), { maxOutputLength: clusterSize });
  } catch (cause) {
    throw new FormatError("qcow2.compressed", { what, expected: "a deflate stream", found: "another" }, { cause });
  }
  if (bytes.length !== clusterSize) {
    throw new FormatError("qcow2.compressed", { what, expected: `${clusterSize} bytes`, found: String(bytes.length) });
  }
  return bytes;
}
