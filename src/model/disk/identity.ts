import { createHash } from "node:crypto";
import type { Guid } from "../../lib/bytes/guid.ts";

/** Where the identifiers of a disk come from: what they are for, in; as many bytes as asked for, out. */
export type IdentitySource = (purpose: string, size: number) => Uint8Array;

/** Identifiers that follow from what is on the disk. */
export function derivedIdentity(...seeds: readonly string[]): IdentitySource {
  return (purpose, size) =>
    createHash("sha256")
      .update(["sealwright disk", ...seeds, purpose].join("\0"))
      .digest()
      .subarray(0, size);
}

/** 16 bytes in the order of the text form, marked as vendor-specific (RFC 9562, section 5.8: version 8). */
export function identityUuid(identity: IdentitySource, purpose: string): Uint8Array {
  const uuid = new Uint8Array(identity(purpose, 16));
  uuid[6] = ((uuid[6] as number) & 0x0f) | 0x80;
  uuid[8] = ((uuid[8] as number) & 0x3f) | 0x80;
  return uuid;
}

/** As `identityUuid`, in the order in which partition tables store it. */
export function identityGuid(identity: IdentitySource, purpose: string): Guid {
  const uuid = Buffer.from(identityUuid(identity, purpose));
  uuid.subarray(0, 4).reverse();
  uuid.subarray(4, 6).reverse();
  uuid.subarray(6, 8).reverse();
  return uuid;
}

export function identityNumber(identity: IdentitySource, purpose: string): number {
  return Buffer.from(identity(purpose, 4)).readUInt32LE();
}
