/**
 * Signatures of images as cosign and containers/image keep them, made with a key.
 *
 *     tag sha256-HEX.sig --> manifest --> layer: simple signing payload      the signature is an annotation of the layer
 *                                                { critical: { identity, image, type }, optional }
 *
 *     referrer of artifact type bundle --> layer: bundle v0.3 { verificationMaterial: { publicKey: { hint } },
 *                                                               dsseEnvelope or messageSignature }
 *
 * The first is what cosign 1 and 2, skopeo, Podman and CRI-O verify, the second what cosign 3 writes and reads. Written
 * after cosign specs/SIGNATURE_SPEC.md, containers/image docs/containers-signature.5.md ("critical", "identity") and
 * sigstore protobuf-specs v0.4 (sigstore_bundle.proto). Not supported: certificates of Fulcio, entries of a transparency
 * log, timestamps; they are passed over, and only keys that are at hand verify anything.
 */
export { BUNDLE_ANNOTATION, BUNDLE_MEDIA_TYPE, type Bundle, encodeBundle, keyHint, parseBundle } from "./bundle.ts";
export {
  encodeSimpleSigning,
  parseSimpleSigning,
  SIGNATURE_ANNOTATION,
  SIMPLE_SIGNING_MEDIA_TYPE,
  type SimpleSigning,
} from "./simple-signing.ts";
