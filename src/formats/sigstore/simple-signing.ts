import * as v from "valibot";
import type { BlobDigest } from "../oci/digest.ts";
import { digestField, parseDocument } from "../oci/document.ts";
import { canonicalJson } from "../oci/json.ts";

export const SIMPLE_SIGNING_MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json";

/** Annotation of the layer: base64 of the signature over the layer's bytes. */
export const SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature";

const TYPE = "cosign container image signature";

/** Safety limit: a payload has some hundred bytes. */
const MAX_PAYLOAD_SIZE = 64 * 1024;

/** What a signature binds: bytes, and the name they may be found under. */
export interface SimpleSigning {
  readonly manifestDigest: BlobDigest;
  /** `HOST/REPOSITORY`, with or without a tag. cosign does not look at it, policies of containers/image do. */
  readonly reference: string;
}

const schema = v.looseObject({
  critical: v.looseObject({
    identity: v.looseObject({ "docker-reference": v.string() }),
    image: v.looseObject({ "docker-manifest-digest": digestField }),
    type: v.literal(TYPE),
  }),
});

/** @throws {FormatError} `sigstore.payload.malformed`, `oci.digest.malformed` */
export function parseSimpleSigning(bytes: Uint8Array, what = "signature payload"): SimpleSigning {
  const { critical } = parseDocument(bytes, schema, {
    what,
    code: "sigstore.payload.malformed",
    maxSize: MAX_PAYLOAD_SIZE,
  });
  return { manifestDigest: critical.image["docker-manifest-digest"], reference: critical.identity["docker-reference"] };
}

/** Encodes the payload that is signed, in canonical JSON. */
export function encodeSimpleSigning({ manifestDigest, reference }: SimpleSigning): Uint8Array {
  return canonicalJson({
    critical: {
      identity: { "docker-reference": reference },
      image: { "docker-manifest-digest": manifestDigest },
      type: TYPE,
    },
    optional: null,
  });
}
