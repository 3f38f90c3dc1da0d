/** Puts signed updates where systemd-boot, or bootc before it, finds them. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseAuthenticatedVariable } from "../../formats/efivars/index.ts";
import { parseSignatureLists } from "../../formats/esl/index.ts";
import { NotFoundError, quote, UsageError } from "../../lib/errors.ts";
import { outputError } from "../../model/host-io/errors.ts";
import { exists, storeFile } from "../../model/host-io/files.ts";
import { loadMicrosoftCertificates } from "../../model/secure-boot/index.ts";
import type { SignerOptions } from "../../model/signing/index.ts";
import { type EnrolledName, loadEnrolment, makeUpdates } from "./enrolment.ts";

/** What a directory is: an ESP, the root of an image that is being built, or nothing but the place itself. */
export type EnrolmentPlace = "esp" | "image-root" | "plain";

/** Where each has the updates, below it. */
const PLACES: Readonly<Record<EnrolmentPlace, (set: string) => string>> = {
  // systemd-boot(7)
  esp: (set) => `loader/keys/${set}`,
  // bootc copies them to the ESP when it installs (bootc specification, section 1.9).
  "image-root": (set) => `usr/lib/bootc/install/secureboot-keys/${set}`,
  plain: () => "",
};

export interface EnrolDirectoryOptions {
  readonly keys: string;
  readonly directory: string;
  readonly place: EnrolmentPlace;
  /** Name of the set. `auto` is enrolled without asking, on virtual machines or as loader.conf says. Default `auto`. */
  readonly set?: string;
  readonly microsoft?: boolean;
  readonly overwrite?: boolean;
  readonly dryRun?: boolean;
  readonly signing: Omit<SignerOptions, "certificatePath">;
}

export interface EnrolledUpdate {
  readonly name: EnrolledName;
  /** File or variable. */
  readonly path: string;
  /** Of the whole update, in bytes. */
  readonly size: number;
  /** Entries that it has. */
  readonly entries: number;
  /** Unsigned ones work in setup mode alone. */
  readonly signed: boolean;
}

export interface EnrolledDirectory {
  readonly directory: string;
  readonly updates: readonly EnrolledUpdate[];
  readonly dryRun: boolean;
}

/**
 * Writes PK.auth, KEK.auth, db.auth and, when something was revoked, dbx.auth.
 *
 * @throws {UsageError} `enrol.set-name`; {NotFoundError} `enrol.directory-absent`; as `loadEnrolment`, `makeUpdates`
 * @throws {InputOutputError} `output.…`
 */
export async function enrolDirectory(options: EnrolDirectoryOptions): Promise<EnrolledDirectory> {
  const { directory, dryRun = false, keys, microsoft = false, overwrite = false, place, set = "auto" } = options;
  if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(set)) {
    throw new UsageError("enrol.set-name", `set ${quote(set)}: expected letters, digits, "-", "_" and "."`);
  }
  if (place !== "plain" && !(await exists(directory))) {
    throw new NotFoundError("enrol.directory-absent", `${quote(directory)}: no such directory`);
  }
  const enrolment = await loadEnrolment(keys, { microsoft: microsoft ? await loadMicrosoftCertificates() : [] });
  const updates = await makeUpdates(keys, enrolment, options.signing);
  const to = join(directory, PLACES[place](set));
  if (!dryRun) {
    await mkdir(to, { recursive: true }).catch((error: unknown) => {
      throw outputError(error, to);
    });
    for (const { auth, name } of updates) await storeFile(join(to, `${name}.auth`), auth, { overwrite });
  }
  const described = updates.map(({ auth, name, signed }) =>
    describeUpdate(name, join(to, `${name}.auth`), auth, signed),
  );
  return { directory: to, updates: described, dryRun };
}

export function describeUpdate(name: EnrolledName, path: string, auth: Uint8Array, signed: boolean): EnrolledUpdate {
  const { payload } = parseAuthenticatedVariable(auth, `${name}.auth`);
  const entries = parseSignatureLists(payload, name).reduce((sum, { signatures }) => sum + signatures.length, 0);
  return { name, path, size: auth.length, entries, signed };
}
