/** What is to be revoked, from what a user can name: a hash, a certificate, a program, an image or a disk. */
import { createHash } from "node:crypto";
import { computeAuthenticodeDigest } from "../../formats/authenticode/index.ts";
import { encodeEfiTime } from "../../formats/efivars/index.ts";
import { certificateHashList, certificateList, imageHashList, type SignatureList } from "../../formats/esl/index.ts";
import { type Certificate, parseCertificate } from "../../formats/x509/index.ts";
import type { Guid } from "../../lib/bytes/guid.ts";
import { equalBytes, fromHex, toHex } from "../../lib/bytes/numbers.ts";
import { NotFoundError, PolicyError, quote, UsageError } from "../../lib/errors.ts";
import { exists, openInputFile, readExactly } from "../../model/host-io/files.ts";
import { type LoadProgramsOptions, loadPrograms, type ProgramRole } from "../../model/programs/index.ts";

/** One entry of dbx. */
export type Revocation =
  | {
      readonly kind: "image-hash";
      /** Authenticode digest, SHA-256. */
      readonly hash: Uint8Array;
      /** What it is the digest of; absent for a bare hash. */
      readonly program?: string;
    }
  | { readonly kind: "certificate"; readonly certificate: Certificate }
  | { readonly kind: "certificate-hash"; readonly certificate: Certificate; readonly since: Date | undefined };

export interface RevocationOptions extends LoadProgramsOptions {
  /** Revoke certificates by the hash of their TBSCertificate: smaller, and not known to every firmware. */
  readonly byCertificateHash?: boolean;
  /** From when on, with `byCertificateHash`. Default: always. */
  readonly since?: Date | undefined;
  /** Of an image or a disk, boot loaders and addons as well, and not the UKIs alone. */
  readonly everyProgram?: boolean;
}

const HASH = /^(?:sha256:)?([0-9a-fA-F]{64})$/;
/** No name of an image has so many hex digits and nothing else. */
const ALMOST_HASH = /^(?:sha256:)?[0-9a-fA-F]{40,}$/;
/** Safety limit: certificates have some KiB. */
const MAX_CERTIFICATE_SIZE = 64 * 1024;

/**
 * @throws {UsageError} `keys.revoke.hash`
 * @throws {NotFoundError} `keys.revoke.no-program` for an image or a disk without any UKI
 * @throws {FormatError} as `loadPrograms`, `parseCertificate`
 */
export async function findRevocations(target: string, options: RevocationOptions): Promise<Revocation[]> {
  const hex = HASH.exec(target)?.[1];
  if (hex !== undefined) {
    return [{ kind: "image-hash", hash: fromHex(hex.toLowerCase(), "Authenticode digest", "keys.revoke.hash") }];
  }
  if (ALMOST_HASH.test(target)) {
    const found = `${target.replace(/^sha256:/, "").length} hex digits`;
    throw new UsageError("keys.revoke.hash", `${quote(target)}: found ${found}, expected the 64 of a SHA-256 digest`);
  }
  const certificate = await loadCertificate(target);
  if (certificate !== undefined) {
    const { byCertificateHash = false, since } = options;
    return [
      byCertificateHash ? { kind: "certificate-hash", certificate, since } : { kind: "certificate", certificate },
    ];
  }
  const { kind, name, programs } = await loadPrograms(target, options);
  const roles: readonly ProgramRole[] = options.everyProgram ? ["uki", "addon", "boot-loader", "other"] : ["uki"];
  const chosen = kind === "file" ? programs : programs.filter(({ role }) => roles.includes(role));
  if (chosen.length === 0) {
    throw new NotFoundError("keys.revoke.no-program", `${quote(name)}: found no UKI to revoke`, {
      hint: "--every-program revokes boot loaders and addons too",
    });
  }
  return chosen.map(({ bytes, path }) => ({
    kind: "image-hash",
    hash: computeAuthenticodeDigest(bytes),
    program: kind === "file" ? path : `${name} ${path}`,
  }));
}

/** The certificate that a file holds: PEM, or DER, which begins with a SEQUENCE. */
async function loadCertificate(path: string): Promise<Certificate | undefined> {
  if (!(await exists(path))) return undefined;
  await using handle = await openInputFile(path, "certificate, program, disk or image");
  const size = Math.min(handle.byteSize, MAX_CERTIFICATE_SIZE);
  const bytes = await readExactly(handle, path, 0, size, "certificate");
  const isCertificate = bytes[0] === 0x30 || bytes.includes("-----BEGIN CERTIFICATE-----");
  return isCertificate ? parseCertificate(bytes, path) : undefined;
}

/** Entries as lists; those of one kind and size share one. */
export function toRevocationLists(owner: Guid, revocations: readonly Revocation[]): SignatureList[] {
  const hashes = revocations.flatMap((each) => (each.kind === "image-hash" ? [each.hash] : []));
  const certificates = revocations.flatMap((each) => (each.kind === "certificate" ? [each.certificate] : []));
  const revoked = revocations.flatMap((each) =>
    each.kind === "certificate-hash"
      ? [{ hash: tbsHash(each.certificate), time: each.since === undefined ? ALWAYS : encodeEfiTime(each.since) }]
      : [],
  );
  return [
    ...(hashes.length === 0 ? [] : [imageHashList(owner, hashes)]),
    ...certificates.map(({ der }) => certificateList(owner, der)),
    ...(revoked.length === 0 ? [] : [certificateHashList(owner, revoked)]),
  ];
}

const ALWAYS = new Uint8Array(16);

export const tbsHash = ({ tbs }: Certificate): Uint8Array => createHash("sha256").update(tbs).digest();

/** What lists have not: compared by type and data, whoever owns it. */
export function withoutKnown(lists: readonly SignatureList[], known: readonly SignatureList[]): SignatureList[] {
  const isKnown = (type: Guid, data: Uint8Array): boolean =>
    known.some((list) => equalBytes(list.type, type) && list.signatures.some((one) => equalBytes(one.data, data)));
  return lists
    .map((list) => ({ ...list, signatures: list.signatures.filter(({ data }) => !isKnown(list.type, data)) }))
    .filter(({ signatures }) => signatures.length > 0);
}

/** What a key directory needs to go on. @throws {PolicyError} `keys.revoke.current-key` */
export function refuseCurrent(
  revocations: readonly Revocation[],
  current: ReadonlyMap<string, Certificate>,
  directory: string,
): void {
  for (const revocation of revocations) {
    if (revocation.kind === "image-hash") continue;
    const { certificate } = revocation;
    const name = [...current].find(([, one]) => equalBytes(one.der, certificate.der))?.[0];
    if (name === undefined) continue;
    throw new PolicyError(
      "keys.revoke.current-key",
      `"${certificate.subject}" is the ${name} in use of ${quote(directory)}: nothing signed with it would start`,
      {
        hint: `put another in its place first: sealwright keys rotate ${name}`,
        data: { fingerprint: toHex(certificate.fingerprint) },
      },
    );
  }
}
