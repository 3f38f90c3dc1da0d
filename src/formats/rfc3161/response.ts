import { FormatError, quote, VerificationError } from "../../lib/errors.ts";
import { readOnly, TAG } from "../der/index.ts";

/** PKIFailureInfo, by bit number (RFC 3161 §2.4.2). */
const FAILURES: Readonly<Record<number, string>> = {
  0: "badAlg",
  2: "badRequest",
  5: "badDataFormat",
  14: "timeNotAvailable",
  15: "unacceptedPolicy",
  16: "unacceptedExtension",
  17: "addInfoNotAvailable",
  25: "systemFailure",
};

/** PKIStatus values that come with a token: granted, and granted with modifications. */
const GRANTED = [0n, 1n];

/**
 * Takes the token out of a TimeStampResp.
 *
 * @returns the ContentInfo, DER; a view
 * @throws {VerificationError} `timestamp.refused` when the authority gave none
 * @throws {FormatError} `timestamp.response`, `der.…`
 * @see RFC 3161 §2.4.2
 */
export function parseTimestampResponse(bytes: Uint8Array): Uint8Array {
  const what = "TimeStampResp";
  const response = readOnly(bytes, TAG.SEQUENCE, what);
  const info = response.sequence("status");
  const status = info.integer("status");
  const said: string[] = [];
  if (info.nextIs(TAG.SEQUENCE)) {
    const texts = info.sequence("statusString");
    while (!texts.done) said.push(texts.string("text"));
  }
  if (info.nextIs(TAG.BIT_STRING)) said.push(...namesOf(info.bitString("failInfo").bytes));
  info.end();
  if (!GRANTED.includes(status)) {
    const reason = said.length === 0 ? "" : `: ${quote(said.join(", "))}`;
    throw new VerificationError("timestamp.refused", `the timestamping authority answered status ${status}${reason}`, {
      data: { status: Number(status) },
    });
  }
  if (response.done) {
    const expected = "a token with this status";
    throw new FormatError("timestamp.response", { what, offset: response.offset, expected, found: "none" });
  }
  const token = response.value(TAG.SEQUENCE, "timeStampToken").raw;
  response.end();
  return token;
}

function namesOf(bits: Uint8Array): string[] {
  return Object.entries(FAILURES)
    .filter(([bit]) => ((bits[Number(bit) >> 3] ?? 0) & (0x80 >> (Number(bit) & 7))) !== 0)
    .map(([, name]) => name);
}
