import { open } from "node:fs/promises";
import type { Transaction } from "kysely";
import { Kysely, PostgresDialect } from "kysely";
import { InputOutputError, UnsupportedError, UsageError } from "../../lib/errors.ts";
import { inputError } from "../host-io/errors.ts";
import { type Dialect, migrate, type Tables } from "./schema.ts";
import { NodeSqliteDialect } from "./sqlite.ts";

/** Where requests, decisions, access and the audit log are kept. */
export class SigningQueue implements AsyncDisposable {
  readonly db: Kysely<Tables>;
  readonly dialect: Dialect;

  constructor(db: Kysely<Tables>, dialect: Dialect) {
    this.db = db;
    this.dialect = dialect;
  }

  /** All of it or nothing. On SQLite one transaction runs at a time, on PostgreSQL rows are locked by those who ask. */
  transaction<T>(work: (trx: Transaction<Tables>) => Promise<T>): Promise<T> {
    return this.db.transaction().execute(work);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.db.destroy();
  }
}

/** Connections of one process: requests, the worker, the watcher. */
const MAX_CONNECTIONS = 8;

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Opens the queue and makes its tables when they are not there.
 *
 * @param place the path of an SQLite file, or `postgres://USER@HOST/DATABASE`
 * @throws {UnsupportedError} `queue.pg-missing`, `queue.schema.newer`
 * @throws {InputOutputError} `queue.unavailable` when the database does not answer
 */
export async function openSigningQueue(place: string): Promise<SigningQueue> {
  const queue = /^postgres(?:ql)?:\/\//.test(place) ? await openPostgres(place) : await openSqlite(place);
  try {
    await migrate(queue.db, queue.dialect);
    return queue;
  } catch (error) {
    await queue[Symbol.asyncDispose]();
    if (error instanceof UnsupportedError) throw error;
    throw unavailable(error, place);
  }
}

async function openSqlite(path: string): Promise<SigningQueue> {
  if (/^[a-z]+:\/\//.test(path)) {
    throw new UsageError("queue.place", `queue: found a ${path.split(":")[0]} address, expected a path or postgres://`);
  }
  // Hashes of tokens and what is to be signed are in it: for its owner alone. SQLite gives its side files the same mode.
  const handle = await open(path, "a", 0o600).catch((error: unknown) => {
    throw inputError(error, "queue", path);
  });
  await handle.close();
  try {
    return new SigningQueue(new Kysely({ dialect: new NodeSqliteDialect(path) }), "sqlite");
  } catch (error) {
    throw unavailable(error, path);
  }
}

async function openPostgres(connectionString: string): Promise<SigningQueue> {
  const { Pool } = await loadPg();
  const pool = new Pool({ connectionString, max: MAX_CONNECTIONS, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  // An idle connection that breaks is replaced at the next use.
  pool.on("error", () => {});
  return new SigningQueue(new Kysely({ dialect: new PostgresDialect({ pool }) }), "postgres");
}

async function loadPg() {
  try {
    return await import("pg");
  } catch (cause) {
    throw new UnsupportedError("queue.pg-missing", "a queue in PostgreSQL needs the package pg, which is not here", {
      cause,
      hint: "npm install pg beside sealwright, or leave the queue in an SQLite file",
    });
  }
}

/** A connection string holds a password, so only what the database said is told. */
function unavailable(error: unknown, place: string): InputOutputError {
  const said = error instanceof Error ? error.message || error.name : String(error);
  const name = place.includes("://") ? "the PostgreSQL database" : JSON.stringify(place);
  return new InputOutputError("queue.unavailable", `queue: ${name} cannot be used: ${said}`);
}
