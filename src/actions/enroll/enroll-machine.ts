/** Enrols keys into the firmware of the machine that this runs on, through efivarfs. */
import { basename } from "node:path";
import { KEY_DATABASES, verifyVariable } from "../../formats/efivars/index.ts";
import { parseSignatureLists, toSignatureDatabase } from "../../formats/esl/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { NotFoundError, PolicyError, quote, SealwrightError, UsageError, VerificationError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { efiVariablePath, loadKeyDatabase, loadSecureBoot, writeEfiVariable } from "../../model/host/index.ts";
import { loadFile } from "../../model/host-io/files.ts";
import { loadMicrosoftCertificates } from "../../model/secure-boot/index.ts";
import type { SignerOptions } from "../../model/signing/index.ts";
import { describeUpdate, type EnrolledUpdate } from "./enroll-directory.ts";
import { type EnrolledName, loadEnrolment, makeUpdates } from "./enrolment.ts";
import { describeOptionRom, findOptionRoms, requireOptionRoms } from "./option-roms.ts";

export interface EnrolMachineOptions {
  /** `/`, or a copy of the files of a machine. */
  readonly root: string;
  readonly keys: string;
  readonly microsoft?: boolean;
  /** Allow the option ROMs that this machine starts, by their digests. */
  readonly allowOptionRoms?: boolean;
  /** Although an option ROM may not start any more. */
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly signing: Omit<SignerOptions, "certificatePath">;
  readonly progress?: Progress;
}

export interface EnrolledMachine {
  readonly updates: readonly EnrolledUpdate[];
  readonly dryRun: boolean;
  /** Subjects of the certificates in db. */
  readonly db: readonly string[];
  readonly optionRoms: readonly { readonly devicePath: string; readonly sha256?: string }[];
}

/**
 * Writes db, dbx, KEK and, last, PK, which ends setup mode.
 *
 * @throws {NotFoundError} `enrol.no-efi-variables`
 * @throws {PolicyError} `enrol.not-setup-mode`, `enrol.option-roms`, `enrol.option-roms-unknown`
 * @throws {InputOutputError} `host.efi-variable.refused`; what was written before stays, and setup mode with it
 * @throws as `loadEnrolment`, `makeUpdates`
 */
export async function enrolMachine(options: EnrolMachineOptions): Promise<EnrolledMachine> {
  const { allowOptionRoms = false, dryRun = false, force = false, keys, microsoft = false, root } = options;
  const { progress = silent } = options;
  await requireSetupMode(root);
  const check = await findOptionRoms(root);
  requireOptionRoms(check, { microsoft, byDigest: allowOptionRoms, force });
  const digests = check.optionRoms.map(({ digests: banks }) => banks.get("sha256")).filter((one) => one !== undefined);
  const enrolment = await loadEnrolment(keys, {
    microsoft: microsoft ? await loadMicrosoftCertificates() : [],
    optionRoms: allowOptionRoms ? digests : [],
  });
  const updates = await makeUpdates(keys, enrolment, options.signing);
  if (!dryRun) {
    for (const { auth, name } of updates) {
      progress({ step: "enrol.write", text: `writing ${name}` });
      await writeEfiVariable(root, KEY_DATABASES[name], auth);
    }
  }
  const { certificates } = toSignatureDatabase(enrolment.lists.get("db") ?? []);
  return {
    updates: updates.map(({ auth, name, signed }) =>
      describeUpdate(name, `/${efiVariablePath(KEY_DATABASES[name])}`, auth, signed),
    ),
    dryRun,
    db: certificates.map(({ subject }) => subject),
    optionRoms: check.optionRoms.map(describeOptionRom),
  };
}

async function requireSetupMode(root: string): Promise<void> {
  const { hasVariables, setupMode } = await loadSecureBoot(root);
  if (!hasVariables) throw noVariables();
  if (setupMode === true) return;
  throw new PolicyError("enrol.not-setup-mode", "the firmware has a PK already: it is not in setup mode", {
    hint: "clear its keys in the set-up menu (systemctl reboot --firmware-setup); to change keys that are yours: --update",
  });
}

function noVariables(): NotFoundError {
  return new NotFoundError("enrol.no-efi-variables", "found no variables of UEFI firmware", {
    hint: "the machine was started without UEFI, or efivarfs is not mounted at /sys/firmware/efi/efivars",
  });
}

export interface UpdateMachineOptions {
  readonly root: string;
  /** `.auth` files as `keys rotate` and `keys revoke` name them, in the order in which they are to be written. */
  readonly files: readonly string[];
  readonly dryRun?: boolean;
  readonly progress?: Progress;
}

interface Update {
  readonly file: string;
  readonly name: EnrolledName;
  readonly append: boolean;
  readonly auth: Uint8Array;
}

/** The name says which variable an update is for, and whether it adds. The signature covers both. */
const UPDATE_NAME = /^(PK|KEK|db|dbx)(-append|-update)?\.auth$/;

/**
 * Writes signed updates to a machine that has keys. Each is verified first, as the firmware will, with the keys it has.
 *
 * @throws {UsageError} `enrol.update-name`
 * @throws {NotFoundError} `enrol.no-efi-variables`
 * @throws {VerificationError} `efivars.signature.…`, `cms.…` for what this firmware would refuse
 * @throws {InputOutputError} `host.efi-variable.refused`
 */
export async function updateMachine(options: UpdateMachineOptions): Promise<EnrolledMachine> {
  const { dryRun = false, files, progress = silent, root } = options;
  const { hasVariables, setupMode } = await loadSecureBoot(root);
  if (!hasVariables) throw noVariables();
  const updates = await Promise.all(files.map(loadUpdate));
  if (setupMode !== true) for (const update of updates) await requireAccepted(root, update);
  const done: EnrolledUpdate[] = [];
  for (const { append, auth, file, name } of updates) {
    progress({ step: "enrol.write", text: `writing ${name}` });
    if (!dryRun) await writeEfiVariable(root, KEY_DATABASES[name], auth, { append });
    done.push({ ...describeUpdate(name, `/${efiVariablePath(KEY_DATABASES[name])}`, auth, true), path: file });
  }
  return { updates: done, dryRun, db: [], optionRoms: [] };
}

async function loadUpdate(file: string): Promise<Update> {
  const [, name, kind] = UPDATE_NAME.exec(basename(file)) ?? [];
  if (name === undefined) {
    throw new UsageError(
      "enrol.update-name",
      `${quote(basename(file))}: expected NAME.auth, NAME-append.auth or PK-update.auth`,
      {
        hint: "the name says which variable is written and how; NAME is PK, KEK, db or dbx",
      },
    );
  }
  const auth = await loadFile(file, file, 1 << 20, "enrol.update-too-large");
  return { file, name: name as EnrolledName, append: kind === "-append", auth };
}

/** By whom the firmware lets a variable be written: PK by PK, KEK by PK, db and dbx by KEK or PK. */
async function requireAccepted(root: string, { append, auth, file, name }: Update): Promise<void> {
  const authorities = name === "PK" || name === "KEK" ? (["PK"] as const) : (["KEK", "PK"] as const);
  const trusted: Certificate[] = [];
  for (const authority of authorities) {
    const lists = await loadKeyDatabase(root, authority);
    if (lists !== undefined) trusted.push(...toSignatureDatabase(lists).certificates);
  }
  try {
    const { payload } = verifyVariable(auth, { ...KEY_DATABASES[name], append }, trusted);
    parseSignatureLists(payload, file);
  } catch (error) {
    if (!(error instanceof SealwrightError)) throw error;
    const names = trusted.map(({ subject }) => `"${subject}"`).join(", ");
    throw new VerificationError(
      error.code,
      `${file}: ${error.message}; this firmware asks for ${names || "no key that is known"}`,
      {
        cause: error,
        data: { file, variable: name },
      },
    );
  }
}
