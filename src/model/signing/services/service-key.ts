import { createHash } from "node:crypto";
import type { KeyFacts } from "../../../formats/x509/index.ts";
import type { SigningKey } from "../signing-key.ts";
import type { ServiceClient } from "./client.ts";

/** What the back ends of services do, each in its own way. */
export interface KeyService {
  readonly name: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: () => Promise<Uint8Array>;
  /** @param digest SHA-256 of the message */
  readonly signDigest: (digest: Uint8Array, facts: KeyFacts) => Promise<Uint8Array>;
}

/** A key in a service that signs digests. */
export function toServiceKey({ name, publicKey, signDigest }: KeyService, client: ServiceClient): SigningKey {
  return {
    name,
    asksForPublicKey: true,
    publicKey,
    sign: (message, facts) => signDigest(createHash("sha256").update(message).digest(), facts),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** Bytes of base64 as it is written with padding; anything else gives too few or none, and no signature verifies. */
export function fromBase64(text: string): Buffer {
  return Buffer.from(text, "base64");
}
