import { buildCertificate, type Certificate } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { quote, UsageError } from "../../lib/errors.ts";
import { PrivateKey, type RsaBits } from "../../model/signing/private-key.ts";

export interface CertificateOptions {
  /** Of the certificate. */
  readonly commonName: string;
  readonly organization?: string | undefined;
  /** Validity, 1 to 100. Firmware does not look at it, but signing with an expired certificate is refused. Default 20. */
  readonly years?: number | undefined;
  /** Start of validity, in whole seconds. */
  readonly now: Date;
  /** For serial numbers; keys take theirs from the operating system. */
  readonly randomBytes: (size: number) => Uint8Array;
}

export interface KeyPairOptions extends CertificateOptions {
  /** Default 2048, the only size that every firmware verifies. */
  readonly bits?: RsaBits | undefined;
}

export interface KeyPair {
  readonly key: PrivateKey;
  readonly certificate: Certificate;
}

const DEFAULT_YEARS = 20;
const MAX_YEARS = 100;

/**
 * Makes a key and a self-signed certificate for it.
 *
 * @throws {UsageError} `keys.years` outside 1 to 100, `keys.name` for names that no certificate can carry
 */
export async function makeKeyPair(options: KeyPairOptions): Promise<KeyPair> {
  requireKeyPairOptions(options);
  const key = await PrivateKey.generate(options.bits ?? 2048);
  return { key, certificate: await makeCertificate(key.publicKey, (message) => key.sign(message), options) };
}

/**
 * Makes a self-signed certificate for a key, wherever it is.
 *
 * @param publicKey SubjectPublicKeyInfo, DER
 * @throws as `makeKeyPair`
 */
export async function makeCertificate(
  publicKey: Uint8Array,
  sign: (message: Uint8Array) => Promise<Uint8Array>,
  options: CertificateOptions,
): Promise<Certificate> {
  requireKeyPairOptions(options);
  const { commonName, now, organization, randomBytes, years = DEFAULT_YEARS } = options;
  const request = {
    subject: { commonName, ...(organization === undefined ? {} : { organization }) },
    serial: randomSerial(randomBytes),
    notBefore: now,
    notAfter: addYears(now, years),
    publicKey,
    use: "signature" as const,
  };
  return await buildCertificate(request, sign);
}

/** The same, before any key is made. */
export function requireKeyPairOptions({
  commonName,
  organization,
  years = DEFAULT_YEARS,
}: Pick<CertificateOptions, "commonName" | "organization" | "years">): void {
  if (!Number.isInteger(years) || years < 1 || years > MAX_YEARS) {
    throw new UsageError("keys.years", `validity of ${years} years: expected a whole number from 1 to ${MAX_YEARS}`);
  }
  for (const name of [commonName, organization]) {
    // X.520 allows 64 characters (ub-common-name, ub-organization-name).
    if (name !== undefined && !/^[^\p{Cc}\p{Zs}][^\p{Cc}]{0,63}$/u.test(name)) {
      throw new UsageError(
        "keys.name",
        `name ${quote(name)}: expected 1 to 64 characters, none of them control characters, no space in front`,
      );
    }
  }
}

/** 16 random bytes, positive (RFC 5280 §4.1.2.2). */
function randomSerial(randomBytes: (size: number) => Uint8Array): bigint {
  const serial = BigInt(`0x${toHex(randomBytes(16))}`);
  return (serial & ((1n << 127n) - 1n)) | (1n << 126n);
}

/** 29 February becomes 1 March in a year that has none. */
function addYears(time: Date, years: number): Date {
  const later = new Date(time);
  later.setUTCFullYear(time.getUTCFullYear() + years);
  return later;
}
