/** Revokes what must not start any more: programs by their digest, signers by their certificate. */
import { encodeSignatureLists, type SignatureList, toSignatureDatabase } from "../../formats/esl/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { PolicyError, UsageError } from "../../lib/errors.ts";
import { type AuthorityOptions, loadOwner, openAuthority, requireSound } from "./authority.ts";
import { wholeSeconds } from "./generate-keys.ts";
import { settleSteps, takeStep } from "./journal.ts";
import { assessImpact, type Impact, loadKnown, loadSealedReports } from "./known-sets.ts";
import {
  findRevocations,
  type Revocation,
  type RevocationOptions,
  refuseCurrent,
  toRevocationLists,
  withoutKnown,
} from "./revocation-targets.ts";
import { loadCertificates, loadOldCertificate } from "./show-keys.ts";
import { appendFiles, laterTime, loadLists, replacementFiles } from "./variable-files.ts";

export interface RevokeKeysOptions extends AuthorityOptions, RevocationOptions {
  /** Digests, certificates, EFI programs, images, disks. */
  readonly targets: readonly string[];
  /** Images, disks and reports of `seal --json` that somebody boots. */
  readonly known?: readonly string[];
  /** Also when that stops the newest of what is known, or revokes a key in use. */
  readonly force?: boolean;
  /** Look, and write nothing. */
  readonly dryRun?: boolean;
}

export interface RevocationReport {
  readonly directory: string;
  /** What dbx gets in addition. */
  readonly added: readonly RevokedEntry[];
  /** Entries of dbx that this directory keeps, with those. */
  readonly total: number;
  readonly impact: readonly Impact[];
  /** In the directory; empty when nothing was written. */
  readonly files: readonly string[];
  readonly step?: string;
  /** Bytes of dbx with all of it: firmware has little room. */
  readonly size: number;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

export interface RevokedEntry {
  readonly kind: Revocation["kind"];
  /** Of the digest or of the certificate, lower-case hex. */
  readonly sha256: string;
  /** Program or subject. */
  readonly of?: string;
  readonly since?: string;
}

/**
 * Writes `dbx-append.esl` and `.auth`, which add all that this directory revoked to what a machine has, and `dbx.esl` and
 * `.auth`, which replace it; signed by KEK.
 *
 * @throws {UsageError} `keys.revoke.nothing`, `keys.revoke.known-already`
 * @throws {PolicyError} `keys.revoke.stops-newest`, `keys.revoke.current-key`, `keys.clock`
 * @throws {VerificationError} `keys.unsound`; as `findRevocations`, `openSigner`
 */
export async function revokeKeys(directory: string, options: RevokeKeysOptions): Promise<RevocationReport> {
  const { dryRun = false, force = false, targets } = options;
  if (targets.length === 0) {
    throw new UsageError("keys.revoke.nothing", "nothing to revoke: expected a digest, certificate, program or image");
  }
  const now = wholeSeconds(options.signing.now);
  if (!dryRun) await settleSteps(directory);
  await requireSound(directory);
  const certificates = await loadCertificates(directory);
  const old = await loadOldCertificate(directory, "db");
  const revocations: Revocation[] = [];
  for (const target of targets) revocations.push(...(await findRevocations(target, options)));
  if (!force) refuseCurrent(revocations, certificates, directory);

  const before = (await loadLists(directory, "dbx.esl")) ?? [];
  const owner = await loadOwner(directory);
  const fresh = revocations.filter((each) => withoutKnown(toRevocationLists(owner, [each]), before).length > 0);
  const added = toRevocationLists(owner, fresh);
  if (added.length === 0) throw new UsageError("keys.revoke.known-already", "all of it is revoked already, in dbx.esl");
  const after = joinLists(before, added);

  const sets = [
    ...(await loadSealedReports(directory)),
    ...(await Promise.all((options.known ?? []).map((name) => loadKnown(name, options)))),
  ];
  const impact = assessImpact(sets, {
    db: [...certificates]
      .filter(([name]) => name === "db")
      .map(([, one]) => one)
      .concat(old ?? []),
    dbxBefore: toSignatureDatabase(before),
    dbxAfter: toSignatureDatabase(after),
  });
  if (!force && !dryRun) refuseNewest(impact);
  const payload = encodeSignatureLists(after);
  const report = {
    directory,
    added: fresh.map(describe),
    total: after.reduce((sum, { signatures }) => sum + signatures.length, 0),
    impact,
    size: payload.length,
    warnings: warningsOf(impact, revocations),
  };
  if (dryRun) return { ...report, files: [] };
  const time = await laterTime(directory, ["dbx"], now);
  await using KEK = await openAuthority(directory, "KEK", options);
  const files = new Map([
    ...(await replacementFiles("dbx", after, KEK, time)),
    ...(await appendFiles("dbx", after, KEK, time)),
  ]);
  const step = await takeStep(directory, { facts: { kind: "revoke", added: report.added }, files }, now);
  return { ...report, files: [...files.keys()], step };
}

/** Entries of one type and size in one list, as firmware keeps them. */
function joinLists(before: readonly SignatureList[], added: readonly SignatureList[]): SignatureList[] {
  const joined = before.map((list) => ({ ...list }));
  for (const list of added) {
    const size = list.signatures[0]?.data.length;
    const at = joined.findIndex(
      ({ signatures, typeName }) =>
        typeName === list.typeName && signatures[0]?.data.length === size && typeName !== "x509",
    );
    const known = joined[at];
    if (known === undefined) joined.push(list);
    else joined[at] = { ...known, signatures: [...known.signatures, ...list.signatures] };
  }
  return joined;
}

function refuseNewest(impact: readonly Impact[]): void {
  const stopped = impact.find(({ newest, stopped: programs }) => newest && programs.length > 0);
  if (stopped === undefined) return;
  throw new PolicyError(
    "keys.revoke.stops-newest",
    `${stopped.name}, the newest of what is known, would not start any more: ${stopped.stopped[0]?.reason ?? ""}`,
    {
      hint: "seal it anew, with another key where its signer is revoked; --force revokes all the same",
      data: { impact },
    },
  );
}

function describe(revocation: Revocation): RevokedEntry {
  const { kind } = revocation;
  if (kind === "image-hash") {
    const { hash, program } = revocation;
    return { kind, sha256: toHex(hash), ...(program === undefined ? {} : { of: program }) };
  }
  const { fingerprint, subject } = revocation.certificate;
  const since = kind === "certificate-hash" && revocation.since ? { since: revocation.since.toISOString() } : {};
  return { kind, sha256: toHex(fingerprint), of: subject, ...since };
}

function warningsOf(impact: readonly Impact[], revocations: readonly Revocation[]): RevocationReport["warnings"] {
  const warnings: { code: string; message: string }[] = [];
  if (impact.length === 0) {
    const message = "no image or disk is known, so nobody looked at what this stops: name them with --known";
    warnings.push({ code: "keys.revoke.impact-unknown", message });
  }
  for (const { name, newest, stopped } of impact) {
    if (!newest || stopped.length === 0) continue;
    const message = `${name}, the newest of what is known, does not start any more`;
    warnings.push({ code: "keys.revoke.stops-newest", message });
  }
  if (revocations.some(({ kind }) => kind === "certificate-hash")) {
    const message =
      "not every firmware knows revocation by the hash of a certificate (EFI_CERT_X509_SHA256); edk2 does";
    warnings.push({ code: "keys.revoke.certificate-hash", message });
  }
  return warnings;
}
