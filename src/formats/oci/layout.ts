/** Files of an OCI image layout beside its blobs. */
import * as v from "valibot";
import { quote, UnsupportedError } from "../../lib/errors.ts";
import { type BlobDigest, blobDigestAlgorithm, blobDigestHex } from "./digest.ts";
import { parseDocument } from "./document.ts";
import { canonicalJson } from "./json.ts";

export const LAYOUT_FILE = "oci-layout";
export const INDEX_FILE = "index.json";
export const BLOBS_DIRECTORY = "blobs";

/** Safety limit: the file has one member. */
export const MAX_LAYOUT_FILE_SIZE = 4096;

const layoutFileSchema = v.looseObject({ imageLayoutVersion: v.string() });

/**
 * Checks the `oci-layout` file.
 *
 * @throws {FormatError} `oci.layout.malformed`
 * @throws {UnsupportedError} `oci.layout.version-unsupported` for another major version
 * @see OCI image specification 1.1, image-layout.md, "oci-layout file"
 */
export function checkLayoutFile(bytes: Uint8Array, what = LAYOUT_FILE): void {
  const limits = { what, code: "oci.layout.malformed", maxSize: MAX_LAYOUT_FILE_SIZE };
  const { imageLayoutVersion } = parseDocument(bytes, layoutFileSchema, limits);
  if (!imageLayoutVersion.startsWith("1.")) {
    throw new UnsupportedError(
      "oci.layout.version-unsupported",
      `${what}: layout version ${quote(imageLayoutVersion)}, expected 1.x`,
    );
  }
}

export function encodeLayoutFile(): Uint8Array {
  return canonicalJson({ imageLayoutVersion: "1.0.0" });
}

/** Where a layout keeps a blob, relative to its root: `blobs/sha256/<hex>`. */
export function blobPath(digest: BlobDigest): string {
  return `${BLOBS_DIRECTORY}/${blobDigestAlgorithm(digest)}/${blobDigestHex(digest)}`;
}
