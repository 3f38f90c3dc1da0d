import { der } from "../der/index.ts";
import { type Certificate, OID_ECDSA_WITH_SHA256, OID_RSA_ENCRYPTION } from "../x509/index.ts";
import { OID_DATA, OID_SHA256, OID_SIGNED_DATA } from "./layout.ts";

export interface SignedDataParts {
  readonly contentType: string;
  /** The DER value that was signed; left out when the content is detached. */
  readonly content?: Uint8Array;
  /** Whose key signed; embedded, because firmware takes the signer from nowhere else. */
  readonly certificate: Certificate;
  /** Issuers to embed as well. */
  readonly chain?: readonly Certificate[];
  /** A SET OF Attribute as it was signed; without it the signature is over the content octets. */
  readonly signedAttributes?: Uint8Array;
  readonly signature: Uint8Array;
  /** Attributes that are added afterwards and that the signer did not sign, each encoded. */
  readonly unsignedAttributes?: readonly Uint8Array[];
}

/** SHA-256 as AlgorithmIdentifier, with the NULL that signing tools write. */
export function sha256Algorithm(): Uint8Array {
  return der.sequence(der.oid(OID_SHA256), der.nullValue());
}

/** Writes a bare SignedData with SHA-256 and one signer (RFC 5652 §5.1). */
export function encodeSignedData(parts: SignedDataParts): Uint8Array {
  const { certificate, chain = [], content, signedAttributes, unsignedAttributes = [] } = parts;
  const signer = der.sequence(
    der.integer(1),
    der.sequence(certificate.issuerDer, certificate.serialDer),
    sha256Algorithm(),
    ...(signedAttributes === undefined ? [] : [asImplicitZero(signedAttributes)]),
    signatureAlgorithm(certificate),
    der.octetString(parts.signature),
    ...(unsignedAttributes.length === 0
      ? []
      : [der.context(1, ...unsignedAttributes.toSorted((a, b) => Buffer.compare(a, b)))]),
  );
  return der.sequence(
    der.integer(1),
    der.setOf(sha256Algorithm()),
    der.sequence(der.oid(parts.contentType), ...(content === undefined ? [] : [der.context(0, content)])),
    der.context(0, ...[certificate, ...chain].map((one) => one.der)),
    der.setOf(signer),
  );
}

/** Puts a SignedData into the ContentInfo that everything but authenticated variables expects. */
export function wrapSignedData(signedData: Uint8Array): Uint8Array {
  return der.sequence(der.oid(OID_SIGNED_DATA), der.context(0, signedData));
}

/** A SignedData over data that travels beside it, without signed attributes. */
export async function signDetached(
  data: Uint8Array,
  certificate: Certificate,
  sign: (message: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  return encodeSignedData({ contentType: OID_DATA, certificate, signature: await sign(data) });
}

export function encodeAttribute(type: string, value: Uint8Array): Uint8Array {
  return der.sequence(der.oid(type), der.setOf(value));
}

/** The same attributes under `[0]`: they are signed as SET and stored as IMPLICIT (RFC 5652 §5.4). */
function asImplicitZero(set: Uint8Array): Uint8Array {
  const stored = Uint8Array.from(set);
  stored[0] = 0xa0;
  return stored;
}

function signatureAlgorithm({ publicKey }: Certificate): Uint8Array {
  return publicKey.facts.kind === "rsa"
    ? der.sequence(der.oid(OID_RSA_ENCRYPTION), der.nullValue())
    : der.sequence(der.oid(OID_ECDSA_WITH_SHA256));
}
