import { type Gunzip, gunzipSync, zstdDecompressSync } from "node:zlib";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import { ALIGNMENT, MAX_ENTRIES, MAX_UNPACKED_SIZE } from "./layout.ts";
import { type CpioEntry, isCpio, readCpio } from "./read.ts";
import { zstdFrameEnd } from "./zstd-frame.ts";

export type InitramfsCompression = "none" | "gzip" | "zstd" | "xz" | "lz4" | "lzma" | "lzo" | "bzip2";

/** One of the parts that an initramfs is made of. */
export interface InitramfsMember {
  readonly compression: InitramfsCompression;
  /** Bytes from the start of the initramfs. */
  readonly offset: number;
  /** Stored bytes; to the end when the compression is one we cannot open. */
  readonly size: number;
  /** Absent when the compression is one we cannot open. */
  readonly entries: readonly CpioEntry[] | undefined;
}

/** What the kernel can be built to unpack (Linux lib/decompress.c), by the first bytes. */
const COMPRESSIONS: readonly (readonly [Exclude<InitramfsCompression, "none">, string])[] = [
  ["gzip", "1f8b"],
  ["gzip", "1f9e"],
  ["bzip2", "425a"],
  ["lzma", "5d00"],
  ["xz", "fd37"],
  ["lzo", "894c"],
  ["lz4", "0221"],
  ["zstd", "28b5"],
];

/**
 * Lists an initramfs as the kernel unpacks it: cpio archives one after another, uncompressed (microcode, early files)
 * or compressed, with NULs between.
 *
 * Behind a member whose compression we cannot open nothing is looked at: it is the last of the list. Unpacked members
 * are held in memory, of which entries are views.
 *
 * @throws {FormatError} `cpio.…`; `cpio.archive.misaligned`; `cpio.member.unknown`; `cpio.member.data` when compressed
 *   data is broken or unpacks to more than 1 GiB; `cpio.entries.count`
 * @see Linux init/initramfs.c, `unpack_to_rootfs()`
 */
export function listInitramfs(bytes: Uint8Array): InitramfsMember[] {
  const members: InitramfsMember[] = [];
  let count = 0;
  for (let at = skipNuls(bytes, 0); at < bytes.length; ) {
    const member = readMember(bytes, at);
    members.push(member);
    count += member.entries?.length ?? 0;
    if (count > MAX_ENTRIES) {
      throw new FormatError("cpio.entries.count", {
        what: "initramfs: entries",
        offset: at,
        expected: `at most ${MAX_ENTRIES}`,
        found: `${count}`,
      });
    }
    at = skipNuls(bytes, at + member.size);
  }
  return members;
}

/**
 * All entries in the order in which the kernel unpacks them; later ones replace earlier ones of the same path.
 *
 * @throws {UnsupportedError} `cpio.compression` when a member has one that we cannot open
 */
export function requireInitramfsEntries(members: readonly InitramfsMember[]): CpioEntry[] {
  return members.flatMap(({ compression, offset, entries }) => {
    if (entries !== undefined) return entries;
    throw new UnsupportedError(
      "cpio.compression",
      `initramfs: member at byte ${offset}: ${compression} compression is not supported, only gzip and zstd`,
    );
  });
}

function readMember(bytes: Uint8Array, offset: number): InitramfsMember {
  if (isCpio(bytes, offset)) {
    requireAligned(offset);
    const { entries, end } = readCpio(bytes, offset);
    return { compression: "none", offset, size: end - offset, entries };
  }
  const start = Buffer.from(bytes.subarray(offset, offset + 2)).toString("hex");
  const compression = COMPRESSIONS.find(([, magic]) => magic === start)?.[0];
  if (compression === undefined) {
    throw new FormatError("cpio.member.unknown", {
      what: "initramfs: member",
      offset,
      expected: "a cpio archive or data in a compression that the kernel knows",
      found: `0x${start}`,
    });
  }
  if (compression !== "gzip" && compression !== "zstd") {
    return { compression, offset, size: bytes.length - offset, entries: undefined };
  }
  const { unpacked, size } = compression === "gzip" ? gunzip(bytes, offset) : unzstd(bytes, offset);
  return { compression, offset, size, entries: readArchives(unpacked) };
}

/** Archives inside a compressed member, which holds no further compression. */
function readArchives(bytes: Uint8Array): CpioEntry[] {
  const entries: CpioEntry[] = [];
  for (let at = skipNuls(bytes, 0); at < bytes.length; ) {
    requireAligned(at);
    const archive = readCpio(bytes, at);
    for (const entry of archive.entries) entries.push(entry);
    at = skipNuls(bytes, archive.end);
  }
  return entries;
}

interface Unpacked {
  readonly unpacked: Uint8Array;
  /** Stored bytes that were used. */
  readonly size: number;
}

const LIMIT = { maxOutputLength: MAX_UNPACKED_SIZE };

function gunzip(bytes: Uint8Array, offset: number): Unpacked {
  return orBroken("gzip", offset, () => {
    // With `info` the engine comes along, which knows where the data ended; its type does not say so.
    const result = gunzipSync(bytes.subarray(offset), { ...LIMIT, info: true }) as unknown as {
      readonly buffer: Buffer;
      readonly engine: Gunzip;
    };
    return { unpacked: result.buffer, size: result.engine.bytesWritten };
  });
}

function unzstd(bytes: Uint8Array, offset: number): Unpacked {
  const end = zstdFrameEnd(bytes, offset);
  return orBroken("zstd", offset, () => ({
    unpacked: zstdDecompressSync(bytes.subarray(offset, end), LIMIT),
    size: end - offset,
  }));
}

function orBroken(compression: string, offset: number, unpack: () => Unpacked): Unpacked {
  try {
    return unpack();
  } catch (cause) {
    throw new FormatError(
      "cpio.member.data",
      {
        what: `initramfs: ${compression} member`,
        offset,
        expected: `whole data that unpacks to at most ${MAX_UNPACKED_SIZE} bytes`,
        found: cause instanceof Error ? cause.message : "other data",
      },
      { cause },
    );
  }
}

function requireAligned(offset: number): void {
  if (offset % ALIGNMENT !== 0) {
    throw new FormatError("cpio.archive.misaligned", {
      what: "initramfs: cpio archive",
      offset,
      expected: "a start at a multiple of 4, where the kernel looks",
      found: `${offset % ALIGNMENT} bytes behind one`,
    });
  }
}

function skipNuls(bytes: Uint8Array, offset: number): number {
  let at = offset;
  while (at < bytes.length && bytes[at] === 0) at += 1;
  return at;
}
