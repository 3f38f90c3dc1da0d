/** Images, disks and reports of seals that somebody still boots, and which of them a dbx would stop. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { verifyPe } from "../../formats/authenticode/index.ts";
import type { SignatureDatabase } from "../../formats/esl/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, VerificationError } from "../../lib/errors.ts";
import { errnoOf, inputError } from "../../model/host-io/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";
import { type EfiProgram, type LoadProgramsOptions, loadPrograms } from "../../model/programs/index.ts";
import { tbsHash } from "./revocation-targets.ts";

/** Something that boots, or did. */
export interface KnownSet {
  readonly name: string;
  readonly kind: "image" | "disk" | "file" | "report";
  /** When it was made; what is latest is taken for the newest. */
  readonly created?: string;
  readonly programs: readonly KnownProgram[];
}

interface KnownProgram {
  readonly path: string;
  /** Why firmware starts it no more; absent when it does, or did not before. */
  stoppedBy(policy: StopPolicy): string | undefined;
}

export interface StopPolicy {
  /** What starts now. */
  readonly db: readonly Certificate[];
  readonly dbxBefore: SignatureDatabase;
  readonly dbxAfter: SignatureDatabase;
}

/** Where a key directory may keep reports of `seal --json`, one a file. */
export const SEALED_DIRECTORY = "sealed";

/**
 * @param name image, disk, EFI program, or a report of `seal --json` in a file that ends in `.json`
 * @throws {FormatError} `keys.known.report`; as `loadPrograms`
 */
export async function loadKnown(name: string, options: LoadProgramsOptions): Promise<KnownSet> {
  if (name.endsWith(".json")) return await loadReport(name);
  const { created, kind, programs } = await loadPrograms(name, options);
  return { name, kind, ...(created === undefined ? {} : { created }), programs: programs.map(fromProgram) };
}

/** The reports in `sealed/` of a key directory, by name. */
export async function loadSealedReports(directory: string): Promise<KnownSet[]> {
  const place = join(directory, SEALED_DIRECTORY);
  const names = await readdir(place).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return [];
    throw inputError(error, "reports of seals", place);
  });
  const reports = names.filter((name) => name.endsWith(".json")).sort();
  return await Promise.all(reports.map((name) => loadReport(join(place, name))));
}

function fromProgram({ bytes, path }: EfiProgram): KnownProgram {
  return {
    path,
    stoppedBy: ({ db, dbxAfter, dbxBefore }) => {
      const refusal = (dbx: SignatureDatabase): string | undefined => {
        try {
          verifyPe(bytes, { db: { certificates: db }, dbx });
          return undefined;
        } catch (error) {
          if (error instanceof VerificationError) return error.message;
          throw error;
        }
      };
      return refusal(dbxBefore) === undefined ? refusal(dbxAfter) : undefined;
    },
  };
}

const Report = v.object({
  destination: v.string(),
  uki: v.object({ path: v.string(), authenticodeDigest: v.string() }),
  bootLoader: v.object({ path: v.string(), authenticodeDigest: v.string() }),
  signer: v.object({ fingerprint: v.string(), subject: v.string() }),
});

/** Safety limit: a report has a few KiB, or names every normalised file. */
const MAX_REPORT_SIZE = 16 << 20;

async function loadReport(path: string): Promise<KnownSet> {
  const text = Buffer.from(await loadFile(path, path, MAX_REPORT_SIZE, "keys.known.report")).toString("utf8");
  const refuse = (found: string) =>
    new FormatError("keys.known.report", { what: path, expected: "a report of sealwright seal --json", found });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refuse("no JSON");
  }
  const parsed = v.safeParse(Report, json);
  if (!parsed.success) throw refuse(parsed.issues[0].message);
  const { bootLoader, destination, signer, uki } = parsed.output;
  const programs = [uki, bootLoader].map((program) => ({
    path: program.path,
    stoppedBy: ({ db, dbxAfter, dbxBefore }: StopPolicy): string | undefined => {
      const { authenticodeDigest } = program;
      const lists = ({ imageHashes = [] }: SignatureDatabase): boolean =>
        imageHashes.some(({ hash }) => toHex(hash) === authenticodeDigest);
      const revokes = ({ certificateHashes = [], certificates }: SignatureDatabase): boolean =>
        certificates.some(({ fingerprint }) => toHex(fingerprint) === signer.fingerprint) ||
        db.some(
          (one) =>
            toHex(one.fingerprint) === signer.fingerprint &&
            certificateHashes.some(
              ({ algorithm, hash }) => algorithm === "sha256" && toHex(hash) === toHex(tbsHash(one)),
            ),
        );
      if (lists(dbxBefore) || revokes(dbxBefore)) return undefined;
      if (lists(dbxAfter)) return `the image is revoked: dbx lists its digest ${authenticodeDigest}`;
      return revokes(dbxAfter) ? `the image is revoked: dbx revokes its signer "${signer.subject}"` : undefined;
    },
  }));
  return { name: destination, kind: "report", programs };
}

export interface Impact {
  readonly name: string;
  readonly kind: KnownSet["kind"];
  readonly created?: string;
  readonly newest: boolean;
  /** What firmware starts no more. Empty: it boots as before. */
  readonly stopped: readonly { readonly path: string; readonly reason: string }[];
}

/** What a dbx stops. The newest is the one made last; of what has no date, the one named last. */
export function assessImpact(known: readonly KnownSet[], policy: StopPolicy): Impact[] {
  const newest = known.reduce<KnownSet | undefined>(
    (latest, one) => (latest === undefined || (one.created ?? "") >= (latest.created ?? "") ? one : latest),
    undefined,
  );
  return known.map((set) => ({
    name: set.name,
    kind: set.kind,
    ...(set.created === undefined ? {} : { created: set.created }),
    newest: set === newest,
    stopped: set.programs.flatMap((program) => {
      const reason = program.stoppedBy(policy);
      return reason === undefined ? [] : [{ path: program.path, reason }];
    }),
  }));
}
