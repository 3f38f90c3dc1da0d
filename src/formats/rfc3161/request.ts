import { sha256Algorithm } from "../cms/index.ts";
import { der } from "../der/index.ts";

export interface TimestampRequest {
  /** SHA-256 of what is stamped. */
  readonly digest: Uint8Array;
  /** Comes back in the token, so that an old answer does not pass for a new one. */
  readonly nonce: bigint;
}

/** Writes a TimeStampReq that asks for the authority's certificates (RFC 3161 §2.4.1). */
export function encodeTimestampRequest({ digest, nonce }: TimestampRequest): Uint8Array {
  return der.sequence(
    der.integer(1),
    der.sequence(sha256Algorithm(), der.octetString(digest)),
    der.integer(nonce),
    der.boolean(true),
  );
}
