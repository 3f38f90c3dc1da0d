/**
 * The tables, and the rules that the database itself keeps: transitions between states, one decision an approver, an
 * audit log that only grows. Times are ISO 8601 in UTC, which sort as text; both databases have the same columns.
 */
import { type Kysely, sql } from "kysely";
import { UnsupportedError } from "../../lib/errors.ts";
import { type RequestState, TRANSITIONS } from "./state.ts";

export interface Tables {
  request: RequestTable;
  request_file: FileTable;
  file_chunk: ChunkTable;
  decision: DecisionTable;
  access: AccessTable;
  audit: AuditTable;
}

export interface RequestTable {
  id: string;
  state: RequestState;
  /** Of the image, as the request names it. */
  image: string;
  builder: string;
  /** The request's bytes; its identifier is a hash of them. */
  document: Uint8Array;
  submitted_at: string;
  expires_at: string;
  /** Approvals that are needed; known when the review is done. */
  quorum: number | null;
  /** JSON: what the review found. */
  review: string | null;
  /** JSON: why it was refused or rejected, or what last kept a job from being done. */
  refusal: string | null;
  /** JSON: the signatures. */
  result: string | null;
  lease_owner: string | null;
  /** Until then the job belongs to its owner; without one, nobody takes it before. */
  lease_until: string | null;
  /** How often the job was taken; also what tells the owner of a lease from an earlier one. */
  attempt: number;
  /** Counts the changes of this row. */
  revision: number;
}

export interface FileTable {
  request_id: string;
  name: string;
  size: number;
  sha256: string;
  /** The upload that has all of it. */
  upload: string | null;
}

export interface ChunkTable {
  upload: string;
  position: number;
  bytes: Uint8Array;
  stored_at: string;
}

export interface DecisionTable {
  request_id: string;
  approver: string;
  verdict: "approved" | "rejected";
  /** The signed decision, as it came. */
  document: Uint8Array;
  reason: string | null;
  decided_at: string;
}

export interface AccessTable {
  name: string;
  role: string;
  kind: "token" | "certificate";
  /** SHA-256 in hex: of the token's secret, of the certificate. */
  sha256: string;
  added_at: string;
  revoked_at: string | null;
}

export interface AuditTable {
  sequence: number;
  line: string;
}

export type Dialect = "sqlite" | "postgres";

const BYTES = { sqlite: "blob", postgres: "bytea" } as const;

const tables = (dialect: Dialect): string[] => [
  "create table transition (before text not null, after text not null, primary key (before, after))",
  ...Object.entries(TRANSITIONS).flatMap(([before, afters]) =>
    afters.map((after) => `insert into transition (before, after) values ('${before}', '${after}')`),
  ),
  `create table request (
    id text primary key,
    state text not null check (state in (${Object.keys(TRANSITIONS)
      .map((state) => `'${state}'`)
      .join(", ")})),
    image text not null,
    builder text not null,
    document ${BYTES[dialect]} not null,
    submitted_at text not null,
    expires_at text not null,
    quorum integer,
    review text,
    refusal text,
    result text,
    lease_owner text,
    lease_until text,
    attempt integer not null,
    revision integer not null,
    check ((result is not null) = (state = 'signed'))
  )`,
  "create index request_by_state on request (state, submitted_at)",
  `create table request_file (
    request_id text not null references request (id),
    name text not null,
    size integer not null,
    sha256 text not null,
    upload text,
    primary key (request_id, name)
  )`,
  `create table file_chunk (
    upload text not null,
    position integer not null,
    bytes ${BYTES[dialect]} not null,
    stored_at text not null,
    primary key (upload, position)
  )`,
  `create table decision (
    request_id text not null references request (id),
    approver text not null,
    verdict text not null check (verdict in ('approved', 'rejected')),
    document ${BYTES[dialect]} not null,
    reason text,
    decided_at text not null,
    primary key (request_id, approver)
  )`,
  `create table access (
    name text primary key,
    role text not null,
    kind text not null check (kind in ('token', 'certificate')),
    sha256 text not null unique,
    added_at text not null,
    revoked_at text
  )`,
  "create table audit (sequence integer primary key, line text not null)",
];

/** A transition that is not in the table, a change of what was signed, a change of the audit log: refused. */
const guards: Readonly<Record<Dialect, readonly string[]>> = {
  sqlite: [
    `create trigger request_transition before update of state on request
      when old.state <> new.state
        and not exists (select 1 from transition where before = old.state and after = new.state)
      begin select raise(abort, 'transition not allowed'); end`,
    `create trigger request_signed before update on request when old.state = 'signed'
      begin select raise(abort, 'signed requests do not change'); end`,
    "create trigger audit_update before update on audit begin select raise(abort, 'the audit log only grows'); end",
    "create trigger audit_delete before delete on audit begin select raise(abort, 'the audit log only grows'); end",
  ],
  postgres: [
    `create function check_request() returns trigger language plpgsql as $$ begin
      if old.state = 'signed' then raise exception 'signed requests do not change'; end if;
      if old.state <> new.state
        and not exists (select 1 from transition where before = old.state and after = new.state)
      then raise exception 'transition not allowed'; end if;
      return new;
    end $$`,
    "create trigger request_transition before update on request for each row execute function check_request()",
    `create function keep_audit() returns trigger language plpgsql as $$ begin
      raise exception 'the audit log only grows';
    end $$`,
    "create trigger audit_grows before update or delete on audit for each row execute function keep_audit()",
  ],
};

/** Statements that lead from one version to the next; the first makes everything. */
const MIGRATIONS: readonly ((dialect: Dialect) => readonly string[])[] = [
  (dialect) => [...tables(dialect), ...guards[dialect]],
];

/** Any number, as long as every process of this service takes the same. */
const MIGRATION_LOCK = 0x5ea1;

/**
 * Brings the tables to the version of this program; several processes may do so at once.
 *
 * @throws {UnsupportedError} `queue.schema.newer` when a later program has been here
 */
export async function migrate(db: Kysely<Tables>, dialect: Dialect): Promise<void> {
  await db.transaction().execute(async (work) => {
    if (dialect === "postgres") await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(work);
    await sql`create table if not exists schema_version (version integer not null)`.execute(work);
    const { rows } = await sql<{ version: number }>`select version from schema_version`.execute(work);
    const version = rows[0]?.version ?? 0;
    if (version > MIGRATIONS.length) {
      throw new UnsupportedError(
        "queue.schema.newer",
        `the queue has tables of version ${version}, this program knows those up to ${MIGRATIONS.length}`,
      );
    }
    for (const statements of MIGRATIONS.slice(version)) {
      for (const statement of statements(dialect)) await sql.raw(statement).execute(work);
    }
    await sql`delete from schema_version`.execute(work);
    await sql`insert into schema_version (version) values (${MIGRATIONS.length})`.execute(work);
  });
}
