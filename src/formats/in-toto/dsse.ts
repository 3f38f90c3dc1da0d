import * as v from "valibot";
import { FormatError } from "../../lib/errors.ts";
import { parseDocument } from "../oci/document.ts";
import { canonicalJson } from "../oci/json.ts";

/** `payloadType` of an envelope around a statement, and media type of a bare statement. */
export const IN_TOTO_MEDIA_TYPE = "application/vnd.in-toto+json";

export interface EnvelopeSignature {
  /** Says which key it might be; nothing that is trusted. */
  readonly keyid?: string;
  readonly signature: Uint8Array;
}

export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

/** Safety limit: base64 of the largest statement. */
const MAX_ENVELOPE_SIZE = 96 * 1024 * 1024;

const CODE = "in-toto.envelope.malformed";

export const envelopeSchema = v.looseObject({
  payloadType: v.string(),
  payload: v.string(),
  signatures: v.pipe(v.array(v.looseObject({ keyid: v.nullish(v.string()), sig: v.string() })), v.minLength(1)),
});

/** The bytes that are signed (DSSE 1.0, protocol.md, "Signature Definition"). */
export function preAuthenticate(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${payloadType} ${payload.length} `), payload]);
}

/**
 * @throws {FormatError} `in-toto.envelope.malformed`
 * @see DSSE 1.0, envelope.md
 */
export function parseEnvelope(bytes: Uint8Array, what = "DSSE envelope"): Envelope {
  return toEnvelope(parseDocument(bytes, envelopeSchema, { what, code: CODE, maxSize: MAX_ENVELOPE_SIZE }), what);
}

/** @throws {FormatError} `in-toto.envelope.malformed` when a member is not base64 */
export function toEnvelope(
  {
    payload,
    payloadType,
    signatures,
  }: Pick<v.InferOutput<typeof envelopeSchema>, "payload" | "payloadType"> & {
    readonly signatures: readonly { readonly keyid?: string | null | undefined; readonly sig: string }[];
  },
  what: string,
): Envelope {
  return {
    payloadType,
    payload: fromBase64(payload, `${what}: payload`),
    signatures: signatures.map(({ keyid, sig }) => ({
      signature: fromBase64(sig, `${what}: signature`),
      ...(keyid === undefined || keyid === null || keyid === "" ? {} : { keyid }),
    })),
  };
}

/** The members of an envelope, as JSON has them. */
export function envelopeMembers({ payload, payloadType, signatures }: Envelope): unknown {
  return {
    payloadType,
    payload: Buffer.from(payload).toString("base64"),
    signatures: signatures.map(({ keyid, signature }) => ({ keyid, sig: Buffer.from(signature).toString("base64") })),
  };
}

/** Encodes an envelope in canonical JSON. */
export const encodeEnvelope = (envelope: Envelope): Uint8Array => canonicalJson(envelopeMembers(envelope));

/** Base64 of either alphabet (RFC 4648, 4 and 5), as DSSE allows; anything else is refused, not skipped. */
export function fromBase64(text: string, what: string): Uint8Array {
  if (/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) return Buffer.from(text, "base64");
  throw new FormatError(CODE, { what, expected: "base64", found: "something else" });
}
