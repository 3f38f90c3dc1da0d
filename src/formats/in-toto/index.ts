/**
 * Attestations: a statement about artifacts, and the envelope that signs it.
 *
 *     DSSE envelope { payloadType, payload (base64), signatures [{ keyid, sig }] }
 *                                     |
 *                                     '--> in-toto Statement { _type, subject [{ name, digest }],
 *                                                              predicateType, predicate }
 *
 * What is signed is not the JSON of the envelope but "DSSEv1 LENGTH TYPE LENGTH PAYLOAD", so no two readers can see two
 * messages under one signature. in-toto attestation framework v1 (Statement), SLSA provenance v1, DSSE 1.0. Predicates
 * are JSON values to the reader; the writer has names for those of provenance. Not supported: several subjects' worth of
 * rules, layouts and links of in-toto 0.x.
 */
export {
  type Envelope,
  type EnvelopeSignature,
  encodeEnvelope,
  IN_TOTO_MEDIA_TYPE,
  parseEnvelope,
  preAuthenticate,
} from "./dsse.ts";
export { PREDICATE_TYPE, type Provenance, provenancePredicate, type ResourceDescriptor } from "./provenance.ts";
export { encodeStatement, parseStatement, STATEMENT_TYPE, type Statement, type Subject } from "./statement.ts";
