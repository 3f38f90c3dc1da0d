/** Who may talk to the service: what its operator does, beside it, on its queue. */

import { FormatError } from "../../lib/errors.ts";
import { loadCertificates } from "../../model/signing/index.ts";
import {
  type Access,
  addCertificate,
  addToken,
  listAccess,
  openSigningQueue,
  type Role,
  revokeAccess,
} from "../../model/signing-queue/index.ts";

export interface AddAccessOptions {
  readonly queue: string;
  readonly role: Role;
  /** Lets in by this certificate instead of a token. */
  readonly certificatePath: string | undefined;
  readonly now: Date;
  /** As that of node:crypto. */
  readonly randomBytes: (size: number) => Uint8Array;
}

export interface AddedAccess {
  readonly name: string;
  readonly role: Role;
  /** Shown this once. */
  readonly token?: string;
}

/** @throws as `openSigningQueue`, `addToken`, `loadCertificates` */
export async function grantAccess(name: string, options: AddAccessOptions): Promise<AddedAccess> {
  const { certificatePath, now, randomBytes, role } = options;
  await using queue = await openSigningQueue(options.queue);
  if (certificatePath === undefined) {
    return { name, role, token: await addToken(queue, { name, role }, now, randomBytes) };
  }
  const [certificate, ...others] = await loadCertificates([certificatePath]);
  if (certificate === undefined || others.length > 0) {
    const found = `${others.length + 1}`;
    throw new FormatError("service.access.certificate", { what: certificatePath, expected: "one certificate", found });
  }
  await addCertificate(queue, { name, role }, now, certificate.der);
  return { name, role };
}

export async function showAccess(place: string): Promise<readonly Access[]> {
  await using queue = await openSigningQueue(place);
  return await listAccess(queue);
}

/** @throws {NotFoundError} `service.access.unknown` */
export async function withdrawAccess(name: string, place: string, now: Date): Promise<void> {
  await using queue = await openSigningQueue(place);
  await revokeAccess(queue, name, now);
}
