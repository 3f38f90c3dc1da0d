import { FormatError } from "../../lib/errors.ts";
import { encodeAttribute } from "../cms/index.ts";
import { DerReader } from "../der/index.ts";
import { parseTimestampToken, type TimestampEvidence, verifyTimestamp } from "../rfc3161/index.ts";
import { SPC_RFC3161_TIMESTAMP } from "./layout.ts";
import type { PeSignature } from "./list.ts";

/** Unsigned attributes of one signature. Safety limit: tools write one. */
const MAX_UNSIGNED_ATTRIBUTES = 16;

/** The unsigned attribute that holds a token over the signature. */
export function encodeTimestampAttribute(token: Uint8Array): Uint8Array {
  return encodeAttribute(SPC_RFC3161_TIMESTAMP, token);
}

/**
 * Reads and verifies the timestamp of a signature, when it has one. Firmware looks at none; trust in the authority is not
 * judged here either.
 *
 * @throws {FormatError} `authenticode.unsigned-attributes`, `timestamp.…`, `cms.…`, `der.…`, `x509.…`
 * @throws {VerificationError} `timestamp.other-content`, `cms.…`
 */
export function verifySignatureTimestamp({
  data: { signer },
}: Pick<PeSignature, "data">): TimestampEvidence | undefined {
  const what = "unsigned attributes";
  if (signer.unsignedAttributes === undefined) return undefined;
  const set = new DerReader(signer.unsignedAttributes.content, what);
  for (let count = 0; !set.done; count++) {
    if (count === MAX_UNSIGNED_ATTRIBUTES) {
      const expected = `at most ${MAX_UNSIGNED_ATTRIBUTES}`;
      throw new FormatError("authenticode.unsigned-attributes", { what, expected, found: "more" });
    }
    const attribute = set.sequence("Attribute");
    if (attribute.oid("attrType") !== SPC_RFC3161_TIMESTAMP) continue;
    const token = attribute.set("attrValues").any("timestamp token");
    return verifyTimestamp(parseTimestampToken(token.raw), signer.signature);
  }
  return undefined;
}
