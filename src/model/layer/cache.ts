/**
 * What is in a layer, kept between runs: reading it again would give the same.
 *
 * One file a layer and set of algorithms, in JSON lines: a head, one line an entry, and the SHA-256 of all that in the
 * last line. A file that is damaged, cut or of another version is as good as absent. The directory is the user's own
 * (0700): the checksum finds accidents; it does not stop somebody who may write there.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { VerityAlgorithm } from "../../formats/fsverity/algorithm.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { InputOutputError } from "../../lib/errors.ts";
import type { Content, VerityDigests } from "../tree/tree.ts";
import type { LayerEntry, LayerRecord } from "./entry.ts";

/** To be raised when a record means something else than before: by the tar reader's rules, or by the fields below. */
const RECORD_VERSION = 1;

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
      const bytes = await readFile(pathOf(head)).catch(() => undefined);
      return bytes === undefined ? undefined : decodeRecord(bytes, head, layer);
    },
    async store(diffId, algorithms, record) {
      const head = headOf(diffId, algorithms);
      const path = pathOf(head);
      const temporary = `${path}.${randomUUID()}.tmp`;
      try {
        await using file = await open(temporary, "wx", 0o600);
        await file.writeFile(encodeRecord(head, record));
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

function encodeRecord(head: Head, record: LayerRecord): Buffer {
  const lines = [JSON.stringify({ ...head, size: record.size, entries: record.entries.length })];
  for (const entry of record.entries) lines.push(JSON.stringify(toStored(entry)));
  const body = Buffer.from(`${lines.join("\n")}\n`);
  return Buffer.concat([body, Buffer.from(`${createHash("sha256").update(body).digest("hex")}\n`)]);
}

/** Length of the last line: 64 hex digits and a newline. */
const CHECKSUM_SIZE = 65;

function decodeRecord(bytes: Buffer, head: Head, layer: number): LayerRecord | undefined {
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_SIZE));
  if (bytes.toString("latin1", body.length) !== `${createHash("sha256").update(body).digest("hex")}\n`)
    return undefined;
  const [first = "", ...lines] = body.toString().trimEnd().split("\n");
  const { size, entries, ...found } = JSON.parse(first) as Head & { size: number; entries: number };
  if (JSON.stringify(found) !== JSON.stringify(head) || lines.length !== entries) return undefined;
  return { size, entries: lines.map((line) => fromStored(JSON.parse(line) as StoredEntry, layer)) };
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
  if (content.kind === "inline") return [Buffer.from(content.bytes).toString("latin1")];
  if (content.kind !== "external" || content.origin?.kind !== "layer")
    throw new TypeError(`a layer has no ${content.kind} content`);
  const digests = Object.entries(content.digests).map(
    ([algorithm, digest]) => [algorithm, Buffer.from(digest).toString("hex")] as const,
  );
  return [String(content.size), content.origin.offset, Object.fromEntries(digests)];
}

function fromStored({ p: path, k: kind, m, x, c, t, d }: StoredEntry, layer: number): LayerEntry {
  const [mode, uid, gid, mtimeSec, mtimeNsec] = m;
  const meta = { mode, uid, gid, mtimeSec: BigInt(mtimeSec), mtimeNsec, xattrs: new Map(x) };
  return {
    path,
    meta,
    kind,
    ...(c === undefined ? {} : { content: fromStoredContent(c, layer) }),
    ...(t === undefined ? {} : { target: t }),
    ...(d === undefined ? {} : { rdev: d }),
  } as LayerEntry;
}

function fromStoredContent(stored: StoredContent, layer: number): Content {
  if (stored.length === 1) return { kind: "inline", bytes: new Uint8Array(Buffer.from(stored[0], "latin1")) };
  const [size, offset, hex] = stored;
  const digests: VerityDigests = Object.fromEntries(
    Object.entries(hex).map(([algorithm, digest]) => [algorithm, new Uint8Array(Buffer.from(digest, "hex"))]),
  );
  return { kind: "external", size: BigInt(size), digests, origin: { kind: "layer", layer, offset } };
}
