/** From what was found about an image to what it says, whether it is true of this image, and who signed it. */

import { COMPOSEFS_ARTIFACT_TYPE } from "../../formats/composefs-artifact/index.ts";
import { type Envelope, IN_TOTO_MEDIA_TYPE, parseEnvelope, preAuthenticate } from "../../formats/in-toto/index.ts";
import { type BlobDigest, type Descriptor, isManifestMediaType, type Manifest } from "../../formats/oci/index.ts";
import {
  parseBundle,
  parseSimpleSigning,
  SIGNATURE_ANNOTATION,
  SIMPLE_SIGNING_MEDIA_TYPE,
} from "../../formats/sigstore/index.ts";
import { isSignedWith } from "../../formats/x509/index.ts";
import { SealwrightError, VerificationError } from "../../lib/errors.ts";
import { type ComposefsFacts, judgeComposefs } from "./composefs-remark.ts";
import type { FoundReferrer } from "./find-referrers.ts";
import type { Remark, SignatureVerdict } from "./remark.ts";
import { describeSbom, describeStatement, SBOM_MEDIA_TYPES } from "./statements.ts";
import type { VerificationKey } from "./verification-keys.ts";

export interface JudgeOptions {
  /** What the remarks have to be about. */
  readonly subject: BlobDigest;
  readonly keys: readonly VerificationKey[];
  /** What is known of the image itself, to compare with digests that are said of it. */
  readonly composefs: ComposefsFacts;
}

/** One remark or more for each referrer: a manifest of cosign carries a signature a layer. */
export async function judgeReferrers(
  referrers: readonly FoundReferrer[],
  options: JudgeOptions,
): Promise<readonly Remark[]> {
  const remarks: Remark[] = [];
  for (const referrer of referrers) remarks.push(...(await judgeReferrer(referrer, options)));
  return remarks;
}

type Judged = Omit<Remark, "digest" | "artifactType" | "tag">;

async function judgeReferrer(referrer: FoundReferrer, options: JudgeOptions): Promise<readonly Remark[]> {
  const { artifactType, digest, manifest, tag } = referrer;
  const place = { digest, artifactType, ...(tag !== undefined && { tag }) };
  const guarded = async (judge: () => Judged | Promise<Judged>): Promise<Remark> => {
    try {
      return { ...place, ...(await judge()) };
    } catch (error) {
      if (!(error instanceof SealwrightError) || error.code === "interrupted") throw error;
      return { ...place, ...unreadable(error) };
    }
  };
  if (manifest instanceof SealwrightError) return [{ ...place, ...unreadable(manifest) }];
  if (artifactType === COMPOSEFS_ARTIFACT_TYPE) {
    return [await guarded(() => judgeComposefs(referrer, manifest, options))];
  }
  const known = manifest.layers.filter(({ mediaType }) => judgeOf(mediaType) !== undefined);
  if (known.length === 0) return [{ ...place, ...describeOther(manifest) }];
  return await Promise.all(
    known.map((layer) =>
      guarded(async () => (judgeOf(layer.mediaType) as Judge)(await referrer.load(layer), layer, options)),
    ),
  );
}

const unreadable = ({ code, message }: SealwrightError): Judged => ({
  kind: "other",
  signature: { status: "unsigned" },
  says: "cannot be used",
  data: {},
  fault: { code, message },
});

type Judge = (bytes: Uint8Array, layer: Descriptor, options: JudgeOptions) => Judged;

const JUDGES: Readonly<Record<string, Judge>> = {
  [SIMPLE_SIGNING_MEDIA_TYPE]: judgeSimpleSigning,
  [IN_TOTO_MEDIA_TYPE]: (bytes, _, { subject }) => ({
    ...describeStatement(bytes, subject),
    signature: { status: "unsigned" },
  }),
  "application/vnd.dsse.envelope.v1+json": (bytes, _, options) => judgeEnvelope(parseEnvelope(bytes), options),
  ...Object.fromEntries(
    SBOM_MEDIA_TYPES.map((mediaType): [string, Judge] => [
      mediaType,
      (bytes) => ({ ...describeSbom(bytes, mediaType), signature: { status: "unsigned" } }),
    ]),
  ),
};

function judgeOf(mediaType: string): Judge | undefined {
  if (/^application\/vnd\.dev\.sigstore\.bundle[.+]/.test(mediaType)) {
    return (bytes, _, options) => judgeEnvelope(parseBundle(bytes).envelope, options);
  }
  return JUDGES[mediaType];
}

function judgeSimpleSigning(bytes: Uint8Array, { annotations }: Descriptor, options: JudgeOptions): Judged {
  const { manifestDigest, reference } = parseSimpleSigning(bytes);
  if (manifestDigest !== options.subject) {
    throw new VerificationError(
      "referrers.subject-differs",
      `signature: it is over ${manifestDigest}, expected ${options.subject}`,
      { data: { found: manifestDigest, expected: options.subject } },
    );
  }
  const signature = Buffer.from(annotations?.[SIGNATURE_ANNOTATION] ?? "", "base64");
  return {
    kind: "signature",
    signature: whoSigned(bytes, [signature], options.keys),
    says: reference === "" ? "signed for no repository" : `signed as ${reference}`,
    data: { reference },
  };
}

function judgeEnvelope(envelope: Envelope, { keys, subject }: JudgeOptions): Judged {
  const message = preAuthenticate(envelope.payloadType, envelope.payload);
  const signatures = envelope.signatures.map((each) => each.signature);
  const signature = whoSigned(message, signatures, keys);
  return { ...describeStatement(envelope.payload, subject), signature };
}

function whoSigned(
  message: Uint8Array,
  signatures: readonly Uint8Array[],
  keys: readonly VerificationKey[],
): SignatureVerdict {
  if (keys.length === 0) return { status: "unchecked" };
  const by = keys.find(({ publicKey }) =>
    signatures.some((signature) => isSignedWith(publicKey, "sha256", message, signature)),
  );
  return by === undefined ? { status: "unknown-key" } : { status: "good", by: by.name };
}

function describeOther({ layers }: Manifest): Judged {
  const types = [...new Set(layers.map(({ mediaType }) => mediaType))].filter((type) => !isManifestMediaType(type));
  return {
    kind: "other",
    signature: { status: "unsigned" },
    says: types.slice(0, 3).join(", ") || "nothing",
    data: { mediaTypes: types },
  };
}
