import { FormatError, quote } from "../../lib/errors.ts";

declare const checked: unique symbol;

/** The name of stored bytes in OCI: `sha256:<64 hex>` or `sha512:<128 hex>`. Not the composefs digest of a tree. */
export type BlobDigest = string & { readonly [checked]: "BlobDigest" };

const BLOB_DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/**
 * @param what the field that holds the text, for the message
 * @throws {FormatError} `oci.digest.malformed`
 * @see OCI image specification 1.1, descriptor.md, "Digests"
 */
export function parseBlobDigest(text: string, what: string): BlobDigest {
  if (!BLOB_DIGEST.test(text)) {
    throw new FormatError("oci.digest.malformed", {
      what,
      expected: "sha256:<64 hex> or sha512:<128 hex>",
      found: quote(text),
    });
  }
  return text as BlobDigest;
}

/** The hash algorithm in a blob digest, by its node:crypto name. */
export function blobDigestAlgorithm(digest: BlobDigest): "sha256" | "sha512" {
  return digest.startsWith("sha256:") ? "sha256" : "sha512";
}
