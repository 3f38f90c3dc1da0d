/** What a machine's firmware has, and what would come of enrolling keys: looked at, nothing changed. */
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { computeAuthenticodeDigest, verifyPe } from "../../formats/authenticode/index.ts";
import { type SignatureDatabase, type SignatureList, toSignatureDatabase } from "../../formats/esl/index.ts";
import { EVENT_TYPES, parseEventLog } from "../../formats/eventlog/index.ts";
import { isPe } from "../../formats/pe/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { NotFoundError, SealwrightError } from "../../lib/errors.ts";
import {
  loadKeyDatabase,
  loadMeasuredBoot,
  loadMounts,
  loadSecureBoot,
  openHostEsp,
  type SecureBootState,
} from "../../model/host/index.ts";
import { findMicrosoft, loadMicrosoftCertificates } from "../../model/secure-boot/index.ts";
import { type Enrolment, loadEnrolment } from "./enrolment.ts";
import { describeOptionRom, findOptionRoms } from "./option-roms.ts";
import { checkPreflight } from "./preflight-checks.ts";

export interface PreflightOptions {
  /** `/`, or a copy of the files of a machine. */
  readonly root: string;
  /** Directory of the keys that are to be enrolled, or are. */
  readonly keys?: string | undefined;
  /** Microsoft's certificates would be enrolled, too. */
  readonly microsoft?: boolean;
  readonly now: Date;
}

/** An entry of PK, KEK, db or dbx that is a certificate. */
export interface EnrolledCertificate {
  readonly subject: string;
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string;
  readonly notAfter: string;
  readonly expired: boolean;
  /** `own`: in the key directory. */
  readonly whose: "own" | "microsoft" | "other";
  /** What Microsoft's own tables call it, with its year. */
  readonly known?: string;
}

export interface DatabaseReport {
  readonly certificates: readonly EnrolledCertificate[];
  /** Digests of programs, or of certificates in dbx. */
  readonly hashes: number;
}

/** A program that firmware started this time, and whether it would with the keys enrolled. */
export interface StartedProgram {
  /** Authenticode digest, SHA-256, lower-case hex. */
  readonly digest: string;
  /** On the ESP; absent when it is not there. */
  readonly path?: string;
  readonly afterwards: "starts" | "stops" | "unknown";
  readonly code?: string;
  readonly reason?: string;
}

export interface PreflightProblem {
  /** Enrolling is impossible, or the machine would not start any more. */
  readonly blocks: boolean;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export interface PreflightReport {
  readonly firmware: SecureBootState;
  readonly tpm: { readonly present: boolean; readonly eventLog: boolean };
  /** Absent databases are not set. */
  readonly databases: Readonly<Partial<Record<"PK" | "KEK" | "db" | "dbx", DatabaseReport>>>;
  /** Whether the key directory's are enrolled; absent without one. */
  readonly own?: { readonly PK: boolean; readonly KEK: boolean; readonly db: boolean };
  readonly optionRoms: readonly { readonly devicePath: string; readonly sha256?: string }[];
  readonly started: readonly StartedProgram[];
  /** Bytes that firmware has left for variables; absent where the kernel does not say. */
  readonly freeSpace?: number;
  /** Bytes that the enrolment needs. */
  readonly neededSpace?: number;
  readonly problems: readonly PreflightProblem[];
  /** Nothing blocks. */
  readonly ready: boolean;
}

/**
 * @throws {FormatError} `esl.…`, `eventlog.…`, `host.…` when a file of the machine is not what it should be
 * @throws as `loadEnrolment` when keys are named
 */
export async function preflight(options: PreflightOptions): Promise<PreflightReport> {
  const { keys, microsoft = false, now, root } = options;
  const firmware = await loadSecureBoot(root);
  const enrolment =
    keys === undefined
      ? undefined
      : await loadEnrolment(keys, { microsoft: microsoft ? await loadMicrosoftCertificates() : [] });
  const own = new Set(enrolment === undefined ? [] : ownCertificates(enrolment).map(fingerprintOf));
  const databases = await loadDatabases(root, own, now);
  const measured = await loadMeasuredBoot(root);
  const { optionRoms } = await findOptionRoms(root);
  const freeSpace = await findFreeSpace(root);
  const neededSpace = enrolment && sizeOf(enrolment);
  const facts = {
    firmware,
    tpm: { present: measured !== undefined && measured.pcrs.size > 0, eventLog: measured !== undefined },
    databases,
    ...(enrolment === undefined ? {} : { own: ownIn(databases, enrolment) }),
    optionRoms: optionRoms.map(describeOptionRom),
    started: measured === undefined ? [] : await judgeStarted(root, measured.eventLog, enrolment),
    ...(freeSpace === undefined ? {} : { freeSpace }),
    ...(neededSpace === undefined ? {} : { neededSpace }),
  };
  const problems = checkPreflight(facts, { microsoft });
  return { ...facts, problems, ready: problems.every(({ blocks }) => !blocks) };
}

const NAMES = ["PK", "KEK", "db", "dbx"] as const;

const fingerprintOf = ({ fingerprint }: Certificate): string => toHex(fingerprint);

function ownCertificates({ keys: { KEK, PK, db, old } }: Enrolment): Certificate[] {
  return [PK, KEK, db, old?.KEK, old?.db].filter((one) => one !== undefined);
}

async function loadDatabases(root: string, own: ReadonlySet<string>, now: Date): Promise<PreflightReport["databases"]> {
  const found: Partial<Record<(typeof NAMES)[number], DatabaseReport>> = {};
  for (const name of NAMES) {
    const lists = await loadKeyDatabase(root, name);
    if (lists !== undefined && lists.length > 0) found[name] = describeDatabase(lists, own, now);
  }
  return found;
}

function describeDatabase(lists: readonly SignatureList[], own: ReadonlySet<string>, now: Date): DatabaseReport {
  const { certificateHashes = [], certificates, imageHashes = [] } = toSignatureDatabase(lists);
  return {
    certificates: certificates.map((certificate) => {
      const known = findMicrosoft(certificate);
      return {
        subject: certificate.subject,
        fingerprint: fingerprintOf(certificate),
        notAfter: certificate.notAfter.toISOString(),
        expired: certificate.notAfter < now,
        whose: own.has(fingerprintOf(certificate)) ? "own" : known === undefined ? "other" : "microsoft",
        ...(known === undefined ? {} : { known: known.name }),
      };
    }),
    hashes: imageHashes.length + certificateHashes.length,
  };
}

function ownIn(databases: PreflightReport["databases"], { keys }: Enrolment): NonNullable<PreflightReport["own"]> {
  const has = (name: "PK" | "KEK" | "db"): boolean =>
    databases[name]?.certificates.some(({ fingerprint }) => fingerprint === fingerprintOf(keys[name])) ?? false;
  return { PK: has("PK"), KEK: has("KEK"), db: has("db") };
}

/** What firmware started this time, by the digests in the event log, found again on the ESP. */
async function judgeStarted(
  root: string,
  eventLog: Uint8Array,
  enrolment: Enrolment | undefined,
): Promise<StartedProgram[]> {
  const digests = parseEventLog(eventLog)
    .events.filter(({ pcr, type }) => pcr === 4 && type === EVENT_TYPES.EV_EFI_BOOT_SERVICES_APPLICATION)
    .map((event) => toHex(event.digests.get("sha256") ?? new Uint8Array()));
  const programs = await loadPrograms(root);
  return digests.map((digest) => {
    const program = programs.get(digest);
    const found = { digest, ...(program === undefined ? {} : { path: program.path }) };
    if (enrolment === undefined) return { ...found, afterwards: "unknown", reason: "no keys are named" };
    if (program === undefined) return { ...found, afterwards: "unknown", reason: "it is not on the ESP" };
    return { ...found, ...judge(program.bytes, enrolment) };
  });
}

function judge(bytes: Uint8Array, { lists }: Enrolment): Pick<StartedProgram, "afterwards" | "code" | "reason"> {
  const database = (name: "db" | "dbx"): SignatureDatabase => toSignatureDatabase(lists.get(name) ?? []);
  try {
    verifyPe(bytes, { db: database("db"), dbx: database("dbx") });
    return { afterwards: "starts" };
  } catch (error) {
    if (!(error instanceof SealwrightError)) throw error;
    return { afterwards: "stops", code: error.code, reason: error.message };
  }
}

/** Programs of the ESP by digest; none where it cannot be read. */
async function loadPrograms(root: string): Promise<Map<string, { path: string; bytes: Uint8Array }>> {
  const programs = new Map<string, { path: string; bytes: Uint8Array }>();
  try {
    using esp = await openHostEsp(root, await loadMounts(root));
    for (const file of esp.files.filter(({ path }) => /\.efi$/i.test(path))) {
      const bytes = await file.read();
      if (isPe(bytes)) programs.set(toHex(computeAuthenticodeDigest(bytes)), { path: file.path, bytes });
    }
  } catch (error) {
    if (!(error instanceof SealwrightError)) throw error;
    if (!(error instanceof NotFoundError) && error.code !== "input.unreadable") throw error;
  }
  return programs;
}

/** Since Linux 6.5 efivarfs tells what firmware has left (EFIVARFS_MAGIC). */
const EFIVARFS_MAGIC = 0xde5e_81e4;

async function findFreeSpace(root: string): Promise<number | undefined> {
  const found = await statfs(join(root, "sys/firmware/efi/efivars")).catch(() => undefined);
  if (found === undefined || found.type !== EFIVARFS_MAGIC || found.blocks === 0) return undefined;
  return found.bavail * found.bsize;
}

/** Lists, and for each variable its name and header. */
function sizeOf({ lists }: Enrolment): number {
  let size = 0;
  for (const content of lists.values()) {
    size += 100;
    for (const { signatures } of content) for (const { data } of signatures) size += 44 + data.length;
  }
  return size;
}
