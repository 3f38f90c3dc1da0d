/** Signatures over what is said, in the forms that cosign and containers/image verify. */
import { encodeStatement, IN_TOTO_MEDIA_TYPE, preAuthenticate, type Subject } from "../../formats/in-toto/index.ts";
import {
  type Descriptor,
  encodeImageConfig,
  encodeManifest,
  MEDIA_TYPE,
  parseManifest,
  referrersTag,
  toBlobDigest,
} from "../../formats/oci/index.ts";
import {
  BUNDLE_ANNOTATION,
  BUNDLE_MEDIA_TYPE,
  encodeBundle,
  encodeSimpleSigning,
  keyHint,
  SIGNATURE_ANNOTATION,
  SIMPLE_SIGNING_MEDIA_TYPE,
} from "../../formats/sigstore/index.ts";
import type { PublicKey } from "../../formats/x509/index.ts";
import type { ImageWriter } from "../image/image-writer.ts";
import { type ImageSource, loadManifest } from "../image/source.ts";
import { attachArtifact } from "./attach-artifact.ts";

/** A key that signs statements; it needs no certificate. */
export interface AttestationKey {
  readonly publicKey: PublicKey;
  /** As `Signer.sign`: SHA-256 with RSASSA-PKCS1-v1_5, or ECDSA in DER. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export interface NewStatement {
  readonly about: Descriptor;
  readonly subject: Subject;
  readonly predicateType: string;
  readonly predicate: unknown;
}

/** Stores a statement: in a bundle with its signature, or bare when there is no key to sign it. */
export async function attachStatement(
  writer: ImageWriter,
  { about, predicate, predicateType, subject }: NewStatement,
  key: AttestationKey | undefined,
): Promise<Descriptor> {
  const payload = encodeStatement([subject], predicateType, predicate);
  if (key === undefined) {
    return await attachArtifact(writer, {
      artifactType: IN_TOTO_MEDIA_TYPE,
      subject: about,
      layers: [
        { bytes: payload, mediaType: IN_TOTO_MEDIA_TYPE, annotations: { [PREDICATE_ANNOTATION]: predicateType } },
      ],
      annotations: { [PREDICATE_ANNOTATION]: predicateType },
    });
  }
  const signature = await key.sign(preAuthenticate(IN_TOTO_MEDIA_TYPE, payload));
  const envelope = { payloadType: IN_TOTO_MEDIA_TYPE, payload, signatures: [{ signature }] };
  return await attachArtifact(writer, {
    artifactType: BUNDLE_MEDIA_TYPE,
    subject: about,
    layers: [{ bytes: encodeBundle({ envelope, keyHint: keyHint(key.publicKey.spki) }), mediaType: BUNDLE_MEDIA_TYPE }],
    annotations: {
      [BUNDLE_ANNOTATION.content]: "dsse-envelope",
      [BUNDLE_ANNOTATION.predicateType]: predicateType,
    },
  });
}

/** As BuildKit and GitHub write it on the layers of attestations. */
export const PREDICATE_ANNOTATION = "in-toto.io/predicate-type";

/**
 * Adds a signature to those under the tag that cosign gives them. One that is there already is kept.
 *
 * @param reference `HOST/REPOSITORY` that the signature is for
 * @param source where earlier signatures are
 */
export async function attachCosignSignature(
  writer: ImageWriter,
  {
    about,
    reference,
    source,
  }: { readonly about: Descriptor; readonly reference: string; readonly source?: ImageSource },
  key: AttestationKey,
): Promise<Descriptor> {
  const payload = encodeSimpleSigning({ manifestDigest: about.digest, reference });
  const signature = Buffer.from(await key.sign(payload)).toString("base64");
  const tag = `${referrersTag(about.digest)}.sig`;
  const earlier = source === undefined ? [] : await loadSignatures(source, writer, tag);
  const { digest, size } = await writer.putBytes(payload, SIMPLE_SIGNING_MEDIA_TYPE);
  const layer = {
    mediaType: SIMPLE_SIGNING_MEDIA_TYPE,
    digest,
    size,
    annotations: { [SIGNATURE_ANNOTATION]: signature },
  };
  const isSame = ({ annotations }: Descriptor): boolean => annotations?.[SIGNATURE_ANNOTATION] === signature;
  const layers = earlier.some(isSame) ? earlier : [...earlier, layer];
  // cosign wants the config of an image, whose layers are the payloads.
  const config = encodeImageConfig({
    architecture: "",
    os: "",
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map((each) => each.digest) },
  });
  const manifestBytes = encodeManifest({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: await writer.putBytes(config, MEDIA_TYPE.config),
    layers,
  });
  await writer.attach({ manifestBytes, mediaType: MEDIA_TYPE.manifest, tag });
  return { mediaType: MEDIA_TYPE.manifest, digest: toBlobDigest(manifestBytes), size: manifestBytes.length };
}

/** The payloads go where the new manifest goes, which may be another place. */
async function loadSignatures(source: ImageSource, writer: ImageWriter, tag: string): Promise<readonly Descriptor[]> {
  const found = await source.tagged(tag);
  if (found === undefined) return [];
  const { layers } = parseManifest(await loadManifest(source, found), `${source.name}: ${tag}`);
  for (const layer of layers) await writer.copyBlob(await source.blob(layer, `${source.name}: ${tag}`));
  return layers;
}
