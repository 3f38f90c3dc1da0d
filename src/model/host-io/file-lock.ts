import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { InputOutputError, quote } from "../../lib/errors.ts";
import { throwIfInterrupted } from "./interrupt.ts";

export interface LockOptions {
  /** How long to wait for whoever has it. Default: a minute, in which a person can touch a token. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** SQLITE_BUSY, SQLITE_LOCKED (sqlite3.h). */
const TAKEN: readonly unknown[] = [5, 6];

const POLL_MS = 10;

/**
 * Takes a lock that one holder has at a time, in this process and in others on this machine. It ends with its holder,
 * however that ends: it is the write lock of an empty SQLite file, since Node has no locks of its own.
 *
 * @param path a file for nothing else; stays when the lock is released
 * @throws {InputOutputError} `lock.busy`, `lock.unusable`
 * @throws {InterruptedError}
 */
export async function openFileLock(path: string, options: LockOptions = {}): Promise<Disposable> {
  const { timeoutMs = 60_000, signal } = options;
  for (let left = timeoutMs; ; left -= POLL_MS) {
    throwIfInterrupted(signal);
    const database = tryLock(path);
    if (database !== undefined) return { [Symbol.dispose]: () => database.close() };
    if (left <= 0) {
      throw new InputOutputError("lock.busy", `lock ${quote(path)}: another process has it for ${timeoutMs / 1000} s`);
    }
    await sleep(POLL_MS);
  }
}

function tryLock(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec("BEGIN IMMEDIATE");
    return database;
  } catch (cause) {
    database?.close();
    if (TAKEN.includes((cause as { readonly errcode?: unknown }).errcode)) return undefined;
    throw new InputOutputError("lock.unusable", `lock ${quote(path)}: ${(cause as Error).message}`, { cause });
  }
}
