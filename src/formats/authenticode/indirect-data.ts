import { FormatError } from "../../lib/errors.ts";
import { DIGEST_ALGORITHMS, sha256Algorithm } from "../cms/index.ts";
import { DerReader, type DerValue, der } from "../der/index.ts";
import type { HashName } from "../x509/index.ts";
import { DIGEST_SIZES, SPC_PE_IMAGE_DATA } from "./layout.ts";

/** SpcPeImageData as signing tools write it: no flags, and a file name that says it is obsolete. */
function encodeImageData(): Uint8Array {
  const obsolete = Buffer.from("<<<Obsolete>>>", "utf16le").swap16();
  const link = der.context(0, der.context(2, der.implicit(0, obsolete)));
  return der.sequence(der.bitString(new Uint8Array()), link);
}

/** SpcIndirectDataContent: says that what is signed is the digest of a PE image. */
export function encodeIndirectData(digest: Uint8Array): Uint8Array {
  return der.sequence(
    der.sequence(der.oid(SPC_PE_IMAGE_DATA), encodeImageData()),
    der.sequence(sha256Algorithm(), der.octetString(digest)),
  );
}

export interface IndirectData {
  readonly algorithm: HashName;
  readonly digest: Uint8Array;
}

/**
 * Reads the digest out of SpcIndirectDataContent.
 *
 * @throws {FormatError} `authenticode.indirect-data.…`, `der.…`
 */
export function parseIndirectData(value: DerValue): IndirectData {
  const what = "SpcIndirectDataContent";
  const content = new DerReader(value.raw, what).sequence("content");
  const data = content.sequence("data");
  const type = data.oid("type");
  const { offset } = content;
  if (type !== SPC_PE_IMAGE_DATA) {
    const expected = `${SPC_PE_IMAGE_DATA} (a PE image)`;
    throw new FormatError("authenticode.indirect-data.type", { what: `${what}: type`, expected, found: type });
  }
  const messageDigest = content.sequence("messageDigest");
  content.end();
  const identifier = messageDigest.sequence("digestAlgorithm");
  const oid = identifier.oid("algorithm");
  if (!identifier.done) identifier.null("parameters");
  identifier.end();
  const digest = messageDigest.octetString("digest");
  messageDigest.end();
  const algorithm = DIGEST_ALGORITHMS[oid];
  if (algorithm !== undefined && digest.length === DIGEST_SIZES[algorithm]) return { algorithm, digest };
  throw new FormatError("authenticode.indirect-data.digest", {
    what: `${what}: messageDigest`,
    offset,
    expected: "SHA-256, SHA-384 or SHA-512, and a digest of its size",
    found: `${oid} with ${digest.length} bytes`,
  });
}
