import { equalBytes } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { ATTRIBUTE, DIGEST_ALGORITHMS, parseSignedData, type SignedData } from "../cms/index.ts";
import { DerReader, der, TAG } from "../der/index.ts";
import { type CertificateEntry, type Pe, readCertificateTable, WIN_CERT_TYPE_PKCS_SIGNED_DATA } from "../pe/index.ts";
import type { Certificate, HashName } from "../x509/index.ts";
import { type IndirectData, parseIndirectData } from "./indirect-data.ts";
import { EDK2_MAX_SIGNATURE_SIZE, EDK2_MIN_SIGNATURE_SIZE, MAX_SIGNATURES, SPC_INDIRECT_DATA } from "./layout.ts";

/** A signature as it stands in the certificate table; nothing in it has been verified. */
export interface PeSignature {
  readonly kind: "authenticode";
  /** File offset of its entry in the certificate table. */
  readonly offset: number;
  /** PKCS #7 without the padding of its entry. */
  readonly der: Uint8Array;
  readonly data: SignedData;
  /** What was signed: the content octets of SpcIndirectDataContent. */
  readonly content: Uint8Array;
  /** The digest of the image that was signed. */
  readonly image: IndirectData;
  /** As the signer claims it. */
  readonly signingTime: Date | undefined;
  /** The embedded certificate that the signature names, when there is one. */
  readonly signer: Certificate | undefined;
}

/** An entry that firmware passes over, and why. */
export interface UnreadableSignature {
  readonly kind: "unreadable";
  readonly offset: number;
  readonly problem: FormatError;
}

/**
 * Reads the signatures of an image, in their order; entries that are not Authenticode are left out.
 *
 * @throws {FormatError} `pe.certificates.…` when the certificate table itself is malformed, `authenticode.too-many`
 */
export function listSignatures(pe: Pe): (PeSignature | UnreadableSignature)[] {
  const entries = readCertificateTable(pe).filter(({ type }) => type === WIN_CERT_TYPE_PKCS_SIGNED_DATA);
  if (entries.length > MAX_SIGNATURES) {
    const found = `${entries.length}`;
    throw new FormatError("authenticode.too-many", {
      what: "PE signatures",
      expected: `at most ${MAX_SIGNATURES}`,
      found,
    });
  }
  return entries.map((entry) => {
    try {
      return readSignature(entry);
    } catch (problem) {
      if (!(problem instanceof FormatError)) throw problem;
      return { kind: "unreadable", offset: entry.offset, problem };
    }
  });
}

function readSignature({ offset, content }: CertificateEntry): PeSignature {
  return { ...parsePeSignature(content), offset };
}

/**
 * Reads a signature on its own: PKCS #7, with up to 7 NULs behind it.
 *
 * @throws {FormatError} `authenticode.…`, `cms.…`, `der.…`, `x509.…`
 */
export function parsePeSignature(stored: Uint8Array): Omit<PeSignature, "offset"> {
  const what = "PE signature";
  const reader = new DerReader(stored, what);
  const { raw } = reader.value(TAG.SEQUENCE, "ContentInfo");
  if (stored.subarray(raw.length).some((byte) => byte !== 0) || stored.length - raw.length >= 8) {
    const found = `${stored.length - raw.length} bytes`;
    throw new FormatError("authenticode.trailing", {
      what,
      offset: raw.length,
      expected: "NULs to a multiple of 8",
      found,
    });
  }
  const data = parseSignedData(raw, what);
  if (data.contentType !== SPC_INDIRECT_DATA || data.content === undefined) {
    throw new FormatError("authenticode.content-type", {
      what: `${what}: content type`,
      expected: `${SPC_INDIRECT_DATA} with its content`,
      found: data.contentType,
    });
  }
  const image = parseIndirectData(data.content);
  requireVisibleToFirmware(raw, image.algorithm);
  const time = data.signer.signedAttributes?.values.get(ATTRIBUTE.signingTime);
  return {
    kind: "authenticode",
    der: raw,
    data,
    content: data.content.content,
    image,
    signingTime: time === undefined ? undefined : new DerReader(time.raw, "signingTime").time("value"),
    signer: data.certificates.find(
      ({ issuerDer, serialDer }) =>
        equalBytes(issuerDer, data.signer.issuerDer) && equalBytes(serialDer, data.signer.serialDer),
    ),
  };
}

/** edk2 does not parse to the digest algorithm: it compares bytes from 30 on, where long lengths put it. */
const ALGORITHM_OFFSET = 30;

function requireVisibleToFirmware(raw: Uint8Array, algorithm: HashName): void {
  const size = raw.length - 4;
  if (size < EDK2_MIN_SIGNATURE_SIZE || size > EDK2_MAX_SIGNATURE_SIZE) {
    throw new FormatError("authenticode.size", {
      what: "PE signature",
      expected: `${EDK2_MIN_SIGNATURE_SIZE} to ${EDK2_MAX_SIGNATURE_SIZE} bytes, as firmware demands`,
      found: `${size}`,
    });
  }
  const oid = Object.keys(DIGEST_ALGORITHMS).find((one) => DIGEST_ALGORITHMS[one] === algorithm) ?? "";
  const encoded = der.oid(oid);
  if (equalBytes(raw.subarray(ALGORITHM_OFFSET, ALGORITHM_OFFSET + encoded.length), encoded)) return;
  throw new FormatError("authenticode.digest-algorithm", {
    what: "PE signature: first digest algorithm",
    offset: ALGORITHM_OFFSET,
    expected: `${algorithm}, that of the image digest`,
    found: "another one",
  });
}
