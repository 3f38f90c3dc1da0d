/**
 * What is in a layer, kept between runs: reading it again would give the same.
 *
 * One file a layer and set of algorithms, in JSON lines: a head, one line an entry, and the SHA-256 of all that in the
 * last line. A file that is damaged, cut or of another version is as good as absent. The directory is the user's own
 * (0700): the checksum finds accidents; it does not stop somebody who may write there.
 */
import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { VerityAlgorithm } from "../../formats/fsverity/algorithm.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { ByteSlab } from "../../lib/bytes/slab.ts";
import { InputOutputError } from "../../lib/errors.ts";
import { type Content, type Metadata, NO_XATTRS, type VerityDigests } from "../tree/tree.ts";
import type { LayerEntry, LayerRecord } from "./entry.ts";

/** To be raised when a record means something else than before: by the tar reader's rules, or by the fields below. */
const RECORD_VERSION = 2;

/** Bytes of a record that are held at a time; all of it can be a hundred megabytes. */
const WINDOW_SIZE = 1 << 20;

export interface LayerCache {
  /**
   * @param layer index that the origins of the contents shall name
   * @returns `undefined` when there is no sound record
   */
  load(diffId: BlobDigest, algorithms: readonly VerityAlgorithm[], layer: number): Promise<LayerRecord | undefined>;
  /** @throws {InputOutputError} `cache.write-failed` */
  store(diffId: BlobDigest, algorithms: readonly VerityAlgorithm[], record: LayerRecord): Promise<void>;
}

/**
 * Opens (and makes, if need be) a directory of layer records. Deleting it, or any file in it, is always safe.
 *
 * @throws {InputOutputError} `cache.directory-unusable`
 */
export async function openLayerCache(directory: string): Promise<LayerCache> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new InputOutputError("cache.directory-unusable", `layer cache ${directory}: ${(cause as Error).message}`, {
      cause,
    });
  }
  const pathOf = (head: Head): string =>
    join(directory, `${head.diffId.replace(":", "-")}.${head.algorithms.join("+")}.v${head.version}`);
  return {
    async load(diffId, algorithms, layer) {
      const head = headOf(diffId, algorithms);
      try {
        await using file = await open(pathOf(head));
        return await readRecord(file, head, layer);
      } catch {
        return undefined;
      }
    },
    async store(diffId, algorithms, record) {
      const head = headOf(diffId, algorithms);
      const path = pathOf(head);
      const temporary = `${path}.${randomUUID()}.tmp`;
      try {
        await using file = await open(temporary, "wx", 0o600);
        await writeRecord(file, head, record);
        await rename(temporary, path);
      } catch (cause) {
        await rm(temporary, { force: true });
        throw new InputOutputError("cache.write-failed", `layer cache ${path}: ${(cause as Error).message}`, { cause });
      }
    },
  };
}

interface Head {
  readonly version: number;
  readonly diffId: BlobDigest;
  readonly algorithms: readonly VerityAlgorithm[];
}

function headOf(diffId: BlobDigest, algorithms: readonly VerityAlgorithm[]): Head {
  return { version: RECORD_VERSION, diffId, algorithms: [...algorithms].sort() };
}

type StoredContent =
  | readonly [inline: string]
  | readonly [size: string, offset: number, digests: Record<string, string>];

interface StoredEntry {
  readonly p: ByteString;
  readonly k: LayerEntry["kind"];
  /** mode, uid, gid, seconds, nanoseconds */
  readonly m: readonly [number, number, number, string, number];
  readonly x?: readonly (readonly [ByteString, ByteString])[];
  readonly c?: StoredContent;
  readonly t?: ByteString;
  readonly d?: number;
}

/** Everything in a record is a byte string or a number, so one byte a character is enough. */
const ENCODING = "latin1";

async function writeRecord(file: FileHandle, head: Head, record: LayerRecord): Promise<void> {
  const checksum = createHash("sha256");
  const write = async (text: string): Promise<void> => {
    const bytes = Buffer.from(text, ENCODING);
    checksum.update(bytes);
    await file.appendFile(bytes);
  };
  let text = `${JSON.stringify({ ...head, size: record.size, entries: record.entries.length })}\n`;
  for (const entry of record.entries) {
    text += `${JSON.stringify(toStored(entry))}\n`;
    if (text.length < WINDOW_SIZE) continue;
    await write(text);
    text = "";
  }
  await write(text);
  await file.appendFile(`${checksum.digest("hex")}\n`);
}

/** Length of the last line: 64 hex digits and a newline. */
const CHECKSUM_SIZE = 65;

/**
 * Decodes as it goes, and throws everything away when the checksum turns out wrong.
 *
 * @throws whatever damaged lines may lead to
 */
async function readRecord(file: FileHandle, head: Head, layer: number): Promise<LayerRecord | undefined> {
  const bodySize = (await file.stat()).size - CHECKSUM_SIZE;
  const checksum = createHash("sha256");
  const window = Buffer.alloc(WINDOW_SIZE);
  const digests = new ByteSlab();
  const entries: LayerEntry[] = [];
  let first: string | undefined;
  let rest = "";
  for (let at = 0; at < bodySize; ) {
    const { bytesRead } = await file.read(window, 0, Math.min(WINDOW_SIZE, bodySize - at), at);
    if (bytesRead === 0) return undefined;
    at += bytesRead;
    checksum.update(window.subarray(0, bytesRead));
    const lines = (rest + window.toString(ENCODING, 0, bytesRead)).split("\n");
    rest = lines.pop() as string;
    first ??= lines.shift();
    for (const line of lines) entries.push(fromStored(JSON.parse(line) as StoredEntry, layer, digests));
  }
  const { bytesRead } = await file.read(window, 0, CHECKSUM_SIZE, bodySize);
  if (window.toString(ENCODING, 0, bytesRead) !== `${checksum.digest("hex")}\n`) return undefined;
  const { size, entries: count, ...found } = JSON.parse(first ?? "") as Head & { size: number; entries: number };
  if (JSON.stringify(found) !== JSON.stringify(head) || entries.length !== count) return undefined;
  return { size, entries };
}

function toStored(entry: LayerEntry): StoredEntry {
  const { mode, uid, gid, mtimeSec, mtimeNsec, xattrs } = entry.meta;
  return {
    p: entry.path,
    k: entry.kind,
    m: [mode, uid, gid, String(mtimeSec), mtimeNsec],
    ...(xattrs.size === 0 ? {} : { x: [...xattrs] }),
    ...(entry.kind === "file" ? { c: toStoredContent(entry.content) } : {}),
    ...("target" in entry ? { t: entry.target } : {}),
    ...("rdev" in entry ? { d: entry.rdev } : {}),
  };
}

function toStoredContent(content: Content): StoredContent {
  if (content.kind === "inline") return [Buffer.from(content.bytes).toString(ENCODING)];
  if (content.kind !== "external" || content.origin?.kind !== "layer")
    throw new TypeError(`a layer has no ${content.kind} content`);
  const digests = Object.entries(content.digests).map(
    ([algorithm, digest]) => [algorithm, Buffer.from(digest).toString("hex")] as const,
  );
  return [String(content.size), content.origin.offset, Object.fromEntries(digests)];
}

function fromStored({ p: path, k: kind, m, x, c, t, d }: StoredEntry, layer: number, slab: ByteSlab): LayerEntry {
  const [mode, uid, gid, mtimeSec, mtimeNsec] = m;
  const xattrs = x === undefined ? NO_XATTRS : new Map(x);
  const meta: Metadata = { mode, uid, gid, mtimeSec: BigInt(mtimeSec), mtimeNsec, xattrs };
  return {
    path,
    meta,
    kind,
    ...(c === undefined ? {} : { content: fromStoredContent(c, layer, slab) }),
    ...(t === undefined ? {} : { target: t }),
    ...(d === undefined ? {} : { rdev: d }),
  } as LayerEntry;
}

function fromStoredContent(stored: StoredContent, layer: number, slab: ByteSlab): Content {
  if (stored.length === 1) return { kind: "inline", bytes: new Uint8Array(Buffer.from(stored[0], ENCODING)) };
  const [size, offset, hex] = stored;
  const digests: VerityDigests = Object.fromEntries(
    Object.entries(hex).map(([algorithm, digest]) => [algorithm, slab.copy(Buffer.from(digest, "hex"))]),
  );
  return { kind: "external", size: BigInt(size), digests, origin: { kind: "layer", layer, offset } };
}
