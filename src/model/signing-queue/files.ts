/** Files of requests, in pieces: every server on one database has them, and no file system is shared. */
import { createHash, randomUUID } from "node:crypto";
import { FormatError, NotFoundError, quote } from "../../lib/errors.ts";
import type { SigningQueue } from "./database.ts";
import { advanceWhenComplete, expireIfDue, lockRequest, requireState } from "./request-row.ts";

/** Large enough that rows do not count, small enough to hold several. */
const CHUNK_SIZE = 1 << 20;

/**
 * Takes one file of a request, whole or not at all; with the last one the request is ready for review. A file that is
 * there already is read and left as it is.
 *
 * @throws {NotFoundError} `service.request-unknown`, `service.file-unknown`
 * @throws {FormatError} `service.file-differs` when it is not what the request says
 * @throws {UsageError} `service.request-state` when no files are awaited
 */
export async function storeRequestFile(
  queue: SigningQueue,
  id: string,
  name: string,
  content: AsyncIterable<Uint8Array>,
  now: () => Date,
): Promise<void> {
  const file = await queue.db
    .selectFrom("request_file")
    .selectAll()
    .where("request_id", "=", id)
    .where("name", "=", name)
    .executeTakeFirst();
  if (file === undefined) {
    throw new NotFoundError("service.file-unknown", `request ${quote(id)}: it has no file ${quote(name)}`);
  }
  const upload = randomUUID();
  let used = false;
  try {
    const { sha256, size } = await storeChunks(queue, upload, content, file.size, now);
    if (size !== file.size || sha256 !== file.sha256) {
      throw new FormatError("service.file-differs", {
        what: `file ${quote(name)} of request ${id}`,
        expected: `${file.size} bytes with SHA-256 ${file.sha256}`,
        found: size > file.size ? "more" : `${size} bytes with SHA-256 ${sha256}`,
      });
    }
    used = await queue.transaction(async (trx) => {
      const row = await lockRequest(queue, trx, id);
      await expireIfDue(trx, row, now());
      const taken = await trx
        .updateTable("request_file")
        .set({ upload })
        .where("request_id", "=", id)
        .where("name", "=", name)
        .where("upload", "is", null)
        .returning("name")
        .execute();
      if (taken.length === 0) return false;
      requireState(row, "receiving", "a file came");
      await advanceWhenComplete(trx, row);
      return true;
    });
  } finally {
    if (!used) await queue.db.deleteFrom("file_chunk").where("upload", "=", upload).execute();
  }
}

async function storeChunks(
  queue: SigningQueue,
  upload: string,
  content: AsyncIterable<Uint8Array>,
  expected: number,
  now: () => Date,
): Promise<{ readonly size: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  let size = 0;
  let position = 0;
  for await (const bytes of inChunks(content)) {
    size += bytes.length;
    if (size > expected) return { size, sha256: "" };
    hash.update(bytes);
    const row = { upload, position: position++, bytes, stored_at: now().toISOString() };
    await queue.db.insertInto("file_chunk").values(row).execute();
  }
  return { size, sha256: hash.digest("hex") };
}

async function* inChunks(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const piece of content) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + CHUNK_SIZE - size);
      held.push(part);
      size += part.length;
      at += part.length;
      if (size < CHUNK_SIZE) continue;
      yield Buffer.concat(held, size);
      held = [];
      size = 0;
    }
  }
  if (size > 0) yield Buffer.concat(held, size);
}

/** @throws {NotFoundError} `service.file-unknown` when it has not come, or is not kept any more */
export async function* streamRequestFile(
  queue: SigningQueue,
  id: string,
  name: string,
): AsyncGenerator<Uint8Array, void, void> {
  const file = await queue.db
    .selectFrom("request_file")
    .select(["upload", "size"])
    .where("request_id", "=", id)
    .where("name", "=", name)
    .executeTakeFirst();
  if (file?.upload === undefined || file.upload === null) {
    throw new NotFoundError("service.file-unknown", `request ${quote(id)}: there is no file ${quote(name)}`);
  }
  for (let position = 0; position * CHUNK_SIZE < file.size; position++) {
    const chunk = await queue.db
      .selectFrom("file_chunk")
      .select("bytes")
      .where("upload", "=", file.upload)
      .where("position", "=", position)
      .executeTakeFirst();
    if (chunk === undefined) {
      throw new NotFoundError("service.file-unknown", `request ${quote(id)}: file ${quote(name)} is not kept any more`);
    }
    yield chunk.bytes;
  }
}
