/** Who may talk to the service, and as what. */
import { timingSafeEqual } from "node:crypto";
import { NotFoundError, quote, UsageError, VerificationError } from "../../lib/errors.ts";
import type { SigningQueue } from "./database.ts";
import { sha256Hex } from "./request-row.ts";

/** `builder` submits, `approver` decides, `auditor` reads. Everybody may read. */
export const ROLES = ["builder", "approver", "auditor"] as const;
export type Role = (typeof ROLES)[number];

export interface Client {
  readonly name: string;
  readonly role: Role;
}

export interface Access extends Client {
  readonly kind: "token" | "certificate";
  readonly addedAt: Date;
  readonly revokedAt: Date | undefined;
}

/** Names appear in logs, on the page and in policies. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

/** `swt_NAME.SECRET`: secret scanners know it by its start, and the name finds the one row to compare with. */
const TOKEN = /^swt_(?<name>[A-Za-z0-9][A-Za-z0-9._@-]{0,63})\.(?<secret>[A-Za-z0-9_-]{43})$/;

const SECRET_SIZE = 32;

/**
 * Lets a client in by a token that nobody else knows; what is kept is its hash. 256 random bits need no slow hash.
 *
 * @param randomBytes as that of node:crypto
 * @returns the token, which is shown once
 * @throws {UsageError} `service.access.name`, `service.access.exists`
 */
export async function addToken(
  queue: SigningQueue,
  client: Client,
  at: Date,
  randomBytes: (size: number) => Uint8Array,
): Promise<string> {
  const secret = Buffer.from(randomBytes(SECRET_SIZE)).toString("base64url");
  await addAccess(queue, client, "token", sha256Hex(Buffer.from(secret)), at);
  return `swt_${client.name}.${secret}`;
}

/**
 * Lets a client in by its certificate, which it proves to have the key of when it connects.
 *
 * @param der the certificate
 * @throws as `addToken`
 */
export async function addCertificate(queue: SigningQueue, client: Client, at: Date, der: Uint8Array): Promise<void> {
  await addAccess(queue, client, "certificate", sha256Hex(der), at);
}

async function addAccess(
  queue: SigningQueue,
  { name, role }: Client,
  kind: Access["kind"],
  sha256: string,
  at: Date,
): Promise<void> {
  if (!NAME.test(name)) {
    const expected = "1 to 64 letters, digits and . _ @ -";
    throw new UsageError("service.access.name", `client name ${quote(name)}: expected ${expected}`);
  }
  const added = await queue.db
    .insertInto("access")
    .values({ name, role, kind, sha256, added_at: at.toISOString(), revoked_at: null })
    .onConflict((conflict) => conflict.doNothing())
    .returning("name")
    .execute();
  if (added.length > 0) return;
  throw new UsageError("service.access.exists", `client ${quote(name)}: the name or its certificate is taken`, {
    hint: "revoked names stay taken, so that the log means one client by one name",
  });
}

export async function listAccess(queue: SigningQueue): Promise<readonly Access[]> {
  const rows = await queue.db.selectFrom("access").selectAll().orderBy("name").execute();
  return rows.map(({ added_at, kind, name, revoked_at, role }) => ({
    name,
    role: role as Role,
    kind,
    addedAt: new Date(added_at),
    revokedAt: revoked_at === null ? undefined : new Date(revoked_at),
  }));
}

/** @throws {NotFoundError} `service.access.unknown` when there is none of that name, or it was revoked before */
export async function revokeAccess(queue: SigningQueue, name: string, at: Date): Promise<void> {
  const revoked = await queue.db
    .updateTable("access")
    .set({ revoked_at: at.toISOString() })
    .where("name", "=", name)
    .where("revoked_at", "is", null)
    .returning("name")
    .execute();
  if (revoked.length > 0) return;
  throw new NotFoundError("service.access.unknown", `client ${quote(name)}: none of that name has access`);
}

/**
 * Finds whose token this is.
 *
 * @throws {VerificationError} `service.token-wrong`, `service.access-revoked`
 */
export async function authenticateToken(queue: SigningQueue, token: string): Promise<Client> {
  const { name, secret } = TOKEN.exec(token)?.groups ?? {};
  const row =
    name === undefined
      ? undefined
      : await queue.db.selectFrom("access").selectAll().where("name", "=", name).executeTakeFirst();
  const found = Buffer.from(sha256Hex(Buffer.from(secret ?? "")), "hex");
  const kept = Buffer.from(row?.sha256 ?? sha256Hex(new Uint8Array()), "hex");
  // Compared also when there is nothing to compare with: the answer takes as long.
  const same = timingSafeEqual(found, kept);
  if (row === undefined || row.kind !== "token" || secret === undefined || !same) {
    throw new VerificationError("service.token-wrong", "the token is none of this service's");
  }
  return notRevoked(row);
}

/**
 * Finds whose certificate this is; that its key is there was proved in the TLS handshake.
 *
 * @throws {VerificationError} `service.certificate-unknown`, `service.access-revoked`
 */
export async function authenticateCertificate(queue: SigningQueue, der: Uint8Array): Promise<Client> {
  const row = await queue.db
    .selectFrom("access")
    .selectAll()
    .where("sha256", "=", sha256Hex(der))
    .where("kind", "=", "certificate")
    .executeTakeFirst();
  if (row === undefined) {
    throw new VerificationError("service.certificate-unknown", "the client certificate is none of those with access");
  }
  return notRevoked(row);
}

function notRevoked(row: { name: string; role: string; revoked_at: string | null }): Client {
  if (row.revoked_at === null) return { name: row.name, role: row.role as Role };
  throw new VerificationError("service.access-revoked", `the access of ${quote(row.name)} was revoked`);
}
