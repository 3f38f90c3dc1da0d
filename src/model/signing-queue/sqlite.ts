/** node:sqlite for kysely. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { CompiledQuery, type DatabaseConnection, type SqliteDatabase, SqliteDialect, SqliteDriver } from "kysely";

/** Other processes hold the lock for a transaction of a few statements. */
const BUSY_TIMEOUT_MS = 20_000;

/** Between two tries to get the lock, at most. */
const MAX_PAUSE_MS = 50;

/** Of the codes of SQLite, the primary one in the low byte (sqlite.org/rescode.html). */
const SQLITE_BUSY = 5;

export class NodeSqliteDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;

  /** @param path of the file; it is made when it is not there */
  constructor(path: string) {
    const database = openDatabase(path);
    super({ database });
    this.#database = database;
  }

  override createDriver(): SqliteDriver {
    return new ImmediateDriver({ database: this.#database });
  }
}

/** Takes the write lock at the start: a reader that wants to write later would be refused when another one has. */
class ImmediateDriver extends SqliteDriver {
  override async acquireConnection(): Promise<DatabaseConnection> {
    return patient(await super.acquireConnection());
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }
}

/** Waits for the lock without holding up the whole process, which SQLite's own waiting would do. */
function patient(connection: DatabaseConnection): DatabaseConnection {
  return {
    async executeQuery<R>(query: CompiledQuery) {
      for (let waited = 0, pause = 1; ; waited += pause, pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
        try {
          return await connection.executeQuery<R>(query);
        } catch (error) {
          if (!isBusy(error) || waited > BUSY_TIMEOUT_MS) throw error;
        }
        await wait(pause);
      }
    },
    streamQuery: (query, chunkSize) => connection.streamQuery(query, chunkSize),
  };
}

function isBusy(error: unknown): boolean {
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) : 0;
  return (code & 0xff) === SQLITE_BUSY;
}

function openDatabase(path: string): SqliteDatabase {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: true });
  // Readers and the writer do not wait for each other; what is committed is on the disk (sqlite.org/wal.html).
  database.exec("pragma journal_mode = wal");
  database.exec("pragma synchronous = full");
  const prepared = new Map<string, StatementSync>();
  return {
    close: () => database.close(),
    prepare(text) {
      const statement = prepared.get(text) ?? database.prepare(text);
      prepared.set(text, statement);
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...values(parameters)),
        run: (parameters) => statement.run(...values(parameters)),
        iterate: (parameters) => statement.iterate(...values(parameters)),
      };
    },
  };
}

const values = (parameters: readonly unknown[]) => parameters as readonly SQLInputValue[];
