/** An audit log in a file, with its head beside. */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import {
  type AuditEntry,
  type AuditFacts,
  type AuditPosition,
  AuditVerifier,
  hashLine,
  type LogKey,
  MAX_HEAD_SIZE,
  MAX_LINE_SIZE,
  makeAuditHead,
  makeAuditLine,
  parseAuditHead,
  parseAuditLine,
  verifyAuditHead,
} from "../../formats/audit-log/index.ts";
import type { PublicKey } from "../../formats/x509/index.ts";
import { FormatError, NotFoundError, quote, VerificationError } from "../../lib/errors.ts";
import { inputError, outputError } from "../host-io/errors.ts";
import { openFileLock } from "../host-io/file-lock.ts";
import { exists, loadFile, readExactly, storeFile, syncDirectory } from "../host-io/files.ts";

/** Where the head of a log is. */
export const headPath = (path: string): string => `${path}.head`;

/**
 * Appends an entry: when this returns, it is on the disk, whole, and the head says so. Appends from several processes
 * wait for each other.
 *
 * A line that a crash cut off was never promised to anybody: the next append takes it away.
 *
 * @throws {VerificationError} `audit.truncated`, `audit.forked` when the end is not where the head says
 * @throws {InputOutputError} `lock.busy`, `output.unwritable`, `output.no-space`
 */
export async function appendAuditEntry(
  path: string,
  facts: AuditFacts,
  time: () => Date,
  key: LogKey,
  signal?: AbortSignal,
): Promise<AuditPosition> {
  using _lock = await openFileLock(`${path}.lock`, { signal });
  const isNew = !(await exists(path));
  await using file = await open(path, "a+", 0o600).catch((error: unknown) => {
    throw outputError(error, path);
  });
  const last = await findLastLine(file, path, await loadHead(path));
  const line = await makeAuditLine(last, facts, time(), key);
  try {
    // One write: a reader sees the line whole or not at all, save for a crash.
    await file.appendFile(Buffer.concat([line, Buffer.from("\n")]));
    await file.sync();
    if (isNew) await syncDirectory(dirname(path));
  } catch (error) {
    throw outputError(error, path);
  }
  await storeFile(headPath(path), await makeAuditHead(line, key), { overwrite: true, mode: 0o600 });
  return { sequence: parseAuditLine(line).sequence, line: hashLine(line) };
}

/**
 * The line that the next one follows: the one that the head names, or one that came after it before a crash kept the
 * head from following.
 */
async function findLastLine(
  file: FileHandle,
  path: string,
  head: AuditPosition | undefined,
): Promise<Uint8Array | undefined> {
  const { size } = await file.stat();
  const from = Math.max(0, size - 2 * MAX_LINE_SIZE);
  const tail = await readExactly(file, path, from, size - from, "audit log");
  const end = tail.lastIndexOf(LF) + 1;
  const last = end === 0 ? undefined : tail.subarray(tail.lastIndexOf(LF, end - 2) + 1, end - 1);
  const cutTorn = async () => {
    if (from + end < size) await file.truncate(from + end);
    return last;
  };
  if (head === undefined && last === undefined) return await cutTorn();
  const entry = last && parseAuditLine(last);
  if (head === undefined || last === undefined || entry === undefined || entry.sequence < head.sequence) {
    throw new VerificationError("audit.truncated", `audit log ${quote(path)}: its end is not where its head says`, {
      hint: "find out who changed the log; nothing is signed until it verifies",
    });
  }
  const follows = entry.sequence === head.sequence ? hashLine(last) : entry.previous;
  if (entry.sequence - head.sequence <= 1 && follows === head.line) return await cutTorn();
  throw new VerificationError("audit.forked", `audit log ${quote(path)}: its end is another than its head names`);
}

const LF = 0x0a;

async function loadHead(path: string): Promise<AuditPosition | undefined> {
  if (!(await exists(headPath(path)))) return undefined;
  return parseAuditHead(await loadFile(headPath(path), "head of the audit log", MAX_HEAD_SIZE, "audit.head.malformed"));
}

export interface VerifyLogOptions {
  /** Positions that somebody remembers; with one, the log may be without its head. */
  readonly remembered?: readonly AuditPosition[];
  /** Shown each entry, after it was verified. */
  readonly onEntry?: (entry: AuditEntry) => void;
}

/**
 * Verifies a log from its first line to its last.
 *
 * @returns its end; nothing for a log that has no entry yet
 * @throws {VerificationError} `audit.entry-edited`, `audit.sequence`, `audit.forked`, `audit.truncated`,
 *   `audit.other-key`, `audit.head-edited`, `audit.head-missing`
 * @throws {FormatError} `audit.malformed`, `audit.torn`; {NotFoundError} `input.not-found`
 */
export async function verifyAuditFile(
  path: string,
  key: PublicKey,
  options: VerifyLogOptions = {},
): Promise<AuditPosition | undefined> {
  const { onEntry, remembered = [] } = options;
  const head = await loadSignedHead(path, key, remembered.length > 0);
  const verifier = new AuditVerifier(key, [...remembered, ...(head ? [head] : [])]);
  for await (const line of readLines(path)) {
    const entry = verifier.next(line);
    onEntry?.(entry);
  }
  return verifier.end();
}

async function loadSignedHead(path: string, key: PublicKey, optional: boolean): Promise<AuditPosition | undefined> {
  const file = headPath(path);
  if (!(await exists(path))) {
    throw new NotFoundError("input.not-found", `audit log ${quote(path)}: no such file`, { data: { path } });
  }
  if (!(await exists(file))) {
    if (optional) return undefined;
    throw new VerificationError("audit.head-missing", `audit log ${quote(path)}: there is no ${quote(file)}`, {
      hint: "without it nobody can tell whether the end was cut off; name a position you remember with --head",
    });
  }
  const head = parseAuditHead(await loadFile(file, "head of the audit log", MAX_HEAD_SIZE, "audit.head.malformed"));
  return verifyAuditHead(head, key);
}

/** The lines of a log without their ends. */
async function* readLines(path: string): AsyncGenerator<Uint8Array, void, void> {
  let rest: Buffer = Buffer.alloc(0);
  const stream = createReadStream(path, { highWaterMark: MAX_LINE_SIZE });
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf(LF); end !== -1; end = rest.indexOf(LF)) {
        yield rest.subarray(0, end);
        rest = rest.subarray(end + 1);
      }
      if (rest.length > MAX_LINE_SIZE) {
        const expected = `at most ${MAX_LINE_SIZE} bytes`;
        throw new FormatError("audit.malformed", { what: "audit log: line", expected, found: "a longer one" });
      }
    }
  } catch (error) {
    throw inputError(error, "audit log", path);
  }
  if (rest.length === 0) return;
  throw new FormatError("audit.torn", {
    what: `audit log ${quote(path)}: last line`,
    expected: "the end of a line",
    found: `${rest.length} bytes without one`,
  });
}
