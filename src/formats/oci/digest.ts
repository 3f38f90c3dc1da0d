import { createHash } from "node:crypto";
import { FormatError, quote } from "../../lib/errors.ts";

/** The name of stored bytes in OCI: `sha256:<64 hex>` or `sha512:<128 hex>`. Not the composefs digest of a tree. */
export type BlobDigest = string & { readonly brand: "BlobDigest" };

/** Everything but hex digits is refused, so a digest can name a file without leaving its directory. */
const BLOB_DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export const BLOB_DIGEST_FORM = "sha256:<64 hex> or sha512:<128 hex>";

export function isBlobDigest(value: unknown): value is BlobDigest {
  return typeof value === "string" && BLOB_DIGEST.test(value);
}

/**
 * @param what the field that holds the text, for the message
 * @throws {FormatError} `oci.digest.malformed`
 * @see OCI image specification 1.1, descriptor.md, "Digests"
 */
export function parseBlobDigest(text: string, what: string): BlobDigest {
  if (!isBlobDigest(text)) {
    throw new FormatError("oci.digest.malformed", { what, expected: BLOB_DIGEST_FORM, found: quote(text) });
  }
  return text;
}

/** The hash algorithm in a blob digest, by its node:crypto name. */
export function blobDigestAlgorithm(digest: BlobDigest): "sha256" | "sha512" {
  return digest.startsWith("sha256:") ? "sha256" : "sha512";
}

/** The part after the colon: the name of the blob's file in a layout. */
export function blobDigestHex(digest: BlobDigest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** Computes the digest of bytes that are at hand. */
export function toBlobDigest(bytes: Uint8Array, algorithm: "sha256" | "sha512" = "sha256"): BlobDigest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}` as BlobDigest;
}
