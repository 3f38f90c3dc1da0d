/** Takes the old key of a rotation out of use. */
import { join } from "node:path";
import { certificateList } from "../../formats/esl/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, NotFoundError, PolicyError } from "../../lib/errors.ts";
import { exists } from "../../model/host-io/files.ts";
import { type AuthorityOptions, loadOwner, openAuthority, requireSound } from "./authority.ts";
import { wholeSeconds } from "./generate-keys.ts";
import { settleSteps, takeStep } from "./journal.ts";
import { type KeyName, signerOf } from "./key-directory.ts";
import { loadRotation, planRotation, type Rotation, type RotationPlan } from "./rotation.ts";
import { loadCertificates, loadOldCertificate } from "./show-keys.ts";
import { laterTime, replacementFiles } from "./variable-files.ts";

export interface RetireKeyOptions extends AuthorityOptions {
  readonly name: KeyName;
  /** Before the date that the rotation was planned for. */
  readonly early?: boolean;
}

/**
 * Ends a rotation: updates with the new certificate alone, `NAME-old.…` out of the way. The old key stays in `history`.
 *
 * @throws {NotFoundError} `keys.rotate.none`
 * @throws {PolicyError} `keys.rotate.too-early`, `keys.clock`
 */
export async function retireKey(directory: string, options: RetireKeyOptions): Promise<RotationPlan> {
  const { early = false, name } = options;
  const now = wholeSeconds(options.signing.now);
  await settleSteps(directory);
  const rotation = await requireRotation(directory, name);
  if (now < rotation.retireAfter && !early) {
    const date = rotation.retireAfter.toISOString().slice(0, 10);
    throw new PolicyError("keys.rotate.too-early", `${name} has two keys in use until ${date}`, {
      hint: "machines that have not taken the new certificate stop starting; --early does it all the same",
      data: { retireAfter: rotation.retireAfter.toISOString() },
    });
  }
  await requireSound(directory);
  const time = await laterTime(directory, ["PK", "KEK", "db", "dbx"], now);
  const owner = await loadOwner(directory);
  const lists = [certificateList(owner, rotation.current.der)];
  await using authority = name === "PK" ? null : await openAuthority(directory, signerOf(name), options);
  // PK has one entry at any time: PK.auth is what it was.
  const files = authority === null ? [] : await replacementFiles(name, lists, authority, time);
  const removed = ["old.crt", "old.key", "append.esl", "append.auth", "update.auth", "rotation.json"];
  const present: string[] = [];
  for (const suffix of removed) {
    if (await exists(join(directory, `${name}-${suffix}`))) present.push(`${name}-${suffix}`);
  }
  const facts = {
    kind: "retire",
    key: name,
    from: toHex(rotation.old.fingerprint),
    to: toHex(rotation.current.fingerprint),
  };
  const step = await takeStep(directory, { facts, files: new Map(files), removed: present }, now);
  return planRotation(directory, rotation, { step, retired: now });
}

/** The plan of a rotation that is underway. @throws {NotFoundError} `keys.rotate.none` */
export async function showRotation(directory: string, name: KeyName): Promise<RotationPlan> {
  await settleSteps(directory);
  return planRotation(directory, await requireRotation(directory, name), {});
}

async function requireRotation(directory: string, name: KeyName): Promise<Rotation> {
  const [old, certificates] = [await loadOldCertificate(directory, name), await loadCertificates(directory)];
  const current = certificates.get(name);
  if (old === undefined || current === undefined) {
    throw new NotFoundError("keys.rotate.none", `${name}: one key is in use, no rotation is underway`);
  }
  const dates = await loadRotation(directory, name);
  if (dates !== undefined) return { name, old, current, ...dates };
  throw new FormatError("keys.rotate.dates", {
    what: `${name}-rotation.json`,
    expected: "the dates of the rotation",
    found: "nothing",
  });
}
