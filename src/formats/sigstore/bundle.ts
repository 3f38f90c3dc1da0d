import { createHash } from "node:crypto";
import * as v from "valibot";
import { type Envelope, envelopeMembers, envelopeSchema, toEnvelope } from "../in-toto/dsse.ts";
import { parseDocument } from "../oci/document.ts";
import { canonicalJson } from "../oci/json.ts";

export const BUNDLE_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";

/** Annotations of the manifest that carries a bundle, by which cosign 3 finds the one it wants. */
export const BUNDLE_ANNOTATION = {
  content: "dev.sigstore.bundle.content",
  predicateType: "dev.sigstore.bundle.predicateType",
} as const;

/** Safety limit: the envelope of a large SBOM. */
const MAX_BUNDLE_SIZE = 96 * 1024 * 1024;

export interface Bundle {
  readonly envelope: Envelope;
  /** Which key it might be, when it is one and no certificate. */
  readonly keyHint?: string;
}

const schema = v.looseObject({
  mediaType: v.pipe(
    v.string(),
    v.regex(/^application\/vnd\.dev\.sigstore\.bundle(?:\.v0\.3\+json|\+json;version=0\.[123])$/),
  ),
  verificationMaterial: v.looseObject({ publicKey: v.nullish(v.looseObject({ hint: v.nullish(v.string()) })) }),
  dsseEnvelope: envelopeSchema,
});

/** @throws {FormatError} `sigstore.bundle.malformed`, `in-toto.envelope.malformed` */
export function parseBundle(bytes: Uint8Array, what = "sigstore bundle"): Bundle {
  const found = parseDocument(bytes, schema, { what, code: "sigstore.bundle.malformed", maxSize: MAX_BUNDLE_SIZE });
  const hint = found.verificationMaterial.publicKey?.hint;
  return {
    envelope: toEnvelope(found.dsseEnvelope, what),
    ...(hint === undefined || hint === null ? {} : { keyHint: hint }),
  };
}

/** Encodes a bundle of an envelope signed with a key, in canonical JSON. */
export function encodeBundle({ envelope, keyHint: hint }: Bundle): Uint8Array {
  return canonicalJson({
    mediaType: BUNDLE_MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint } },
    dsseEnvelope: envelopeMembers(envelope),
  });
}

/** The hint cosign writes for a key: base64 of the SHA-256 of its SubjectPublicKeyInfo. */
export const keyHint = (spki: Uint8Array): string => createHash("sha256").update(spki).digest("base64");
