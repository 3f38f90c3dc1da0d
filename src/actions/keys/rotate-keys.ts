/** Puts a new PK, KEK or db key beside the old one. */

import { join } from "node:path";
import { certificateList, type SignatureList } from "../../formats/esl/index.ts";
import { type Certificate, encodePem, isSameCertificate, parseCertificate } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { NotFoundError, PolicyError, UsageError } from "../../lib/errors.ts";
import { exists, loadFile } from "../../model/host-io/files.ts";
import { openSigner, type Signer } from "../../model/signing/index.ts";
import type { PrivateKey, RsaBits } from "../../model/signing/private-key.ts";
import { type AuthorityOptions, loadOwner, openAuthority, requireSound } from "./authority.ts";
import { wholeSeconds } from "./generate-keys.ts";
import { settleSteps, takeStep } from "./journal.ts";
import { type KeyName, MAX_FILE_SIZE } from "./key-directory.ts";
import { makeKeyPair } from "./key-pair.ts";
import { planRotation, type Rotation, type RotationPlan, rotationFile } from "./rotation.ts";
import { loadCertificates, loadOldCertificate } from "./show-keys.ts";
import { appendFiles, laterTime, loadLists, replacementFiles } from "./variable-files.ts";

export interface RotateKeysOptions extends AuthorityOptions {
  readonly name: KeyName;
  readonly bits?: RsaBits | undefined;
  /** Of the new certificate. Default: that of the old one with a number behind it. */
  readonly commonName?: string | undefined;
  readonly organization?: string | undefined;
  readonly years?: number | undefined;
  /** Days that both keys are in use, at least. */
  readonly overlapDays: number;
  /** The new key, when it is made elsewhere: with `newCertificate`. For db the certificate is enough. */
  readonly newKey?: string | undefined;
  /** File. */
  readonly newCertificate?: string | undefined;
  readonly randomBytes: (size: number) => Uint8Array;
}

interface NewKey {
  readonly certificate: Certificate;
  /** Absent when it is elsewhere. */
  readonly key: PrivateKey | undefined;
  /** Absent when only its certificate is known. */
  readonly signer: Signer | undefined;
}

/** How many days a rotation may be planned for. Safety limit: a date of four digits. */
const MAX_OVERLAP_DAYS = 3650;

/**
 * Begins a rotation: a new key and certificate in place of the old ones, the old ones beside them as `NAME-old.…`, and
 * signed updates that bring the new certificate to machines which know only the old one. Every replaced file is kept.
 *
 * @throws {PolicyError} `keys.rotate.underway`, `keys.clock`
 * @throws {UsageError} `keys.rotate.overlap`, `keys.rotate.same-certificate`, `keys.rotate.new-key-missing`
 * @throws {VerificationError} `keys.unsound` when the files of the directory do not fit together
 * @throws {NotFoundError} `keys.not-found`; as `openSigner`
 */
export async function rotateKeys(directory: string, options: RotateKeysOptions): Promise<RotationPlan> {
  const { name, overlapDays } = options;
  const now = wholeSeconds(options.signing.now);
  if (!Number.isInteger(overlapDays) || overlapDays < 0 || overlapDays > MAX_OVERLAP_DAYS) {
    const found = `${overlapDays} days of overlap`;
    throw new UsageError("keys.rotate.overlap", `${found}: expected a whole number from 0 to ${MAX_OVERLAP_DAYS}`);
  }
  await settleSteps(directory);
  await requireSound(directory);
  const certificates = await loadCertificates(directory);
  const old = requireCertificate(certificates, name);
  if ((await loadOldCertificate(directory, name)) !== undefined) {
    throw new PolicyError("keys.rotate.underway", `${name} is being rotated: ${name}-old.crt is still in use`, {
      hint: `end it first: sealwright keys rotate ${name} --keys ${directory} --retire`,
    });
  }
  const time = await laterTime(directory, ["PK", "KEK", "db", "dbx"], now);
  const owner = await loadOwner(directory);
  await using cleanup = new AsyncDisposableStack();
  const made = await openNewKey(old, options, now, cleanup);
  if (isSameCertificate(made.certificate, old)) {
    throw new UsageError("keys.rotate.same-certificate", `the new certificate of ${name} is the one in use`);
  }
  const authority = async (which: "PK" | "KEK"): Promise<Signer> =>
    cleanup.use(await openAuthority(directory, which, options));

  const rotation: Rotation = {
    name,
    started: now,
    retireAfter: new Date(now.getTime() + overlapDays * 86_400_000),
    old,
    current: made.certificate,
  };
  const list = ({ der }: Certificate): SignatureList => certificateList(owner, der);
  const both = [list(made.certificate), list(old)];
  const signed = await signedFiles(name, {
    both,
    added: [list(made.certificate)],
    made,
    authority,
    time,
    lists: (file) => loadLists(directory, file),
  });
  const hasKey = await exists(join(directory, `${name}.key`));
  const step = await takeStep(
    directory,
    {
      facts: { kind: "rotate", key: name, from: toHex(old.fingerprint), to: toHex(made.certificate.fingerprint) },
      files: new Map([
        [`${name}.crt`, Buffer.from(encodePem("CERTIFICATE", made.certificate.der))],
        [`${name}.cer`, made.certificate.der],
        ...signed,
        rotationFile(rotation),
      ]),
      keys: new Map(made.key === undefined ? [] : [[`${name}.key`, made.key]]),
      copies: new Map([
        [`${name}-old.crt`, `${name}.crt`],
        ...(hasKey ? [[`${name}-old.key`, `${name}.key`] as const] : []),
      ]),
      removed: made.key === undefined && hasKey ? [`${name}.key`] : [],
    },
    now,
  );
  return planRotation(directory, rotation, { step });
}

interface SigningParts {
  readonly both: readonly SignatureList[];
  readonly added: readonly SignatureList[];
  readonly made: NewKey;
  readonly authority: (which: "PK" | "KEK") => Promise<Signer>;
  /** Of the updates. */
  readonly time: Date;
  /** What a file of the directory has. */
  readonly lists: (file: string) => Promise<SignatureList[] | undefined>;
}

/** The updates of a rotation, each signed by whom the firmware that takes it will ask for. */
async function signedFiles(name: KeyName, parts: SigningParts): Promise<[string, Uint8Array][]> {
  const { added, authority, both, lists, made, time } = parts;
  /** What the key of this variable signs, signed anew by the new one. */
  const resign = async (which: "KEK" | "db" | "dbx"): Promise<[string, Uint8Array][]> => {
    const content = await lists(`${which}.esl`);
    return content === undefined ? [] : await replacementFiles(which, content, requireSigner(made, name), time);
  };
  switch (name) {
    case "db": {
      const KEK = await authority("KEK");
      return [...(await replacementFiles("db", both, KEK, time)), ...(await appendFiles("db", added, KEK, time))];
    }
    case "KEK": {
      const PK = await authority("PK");
      return [
        ...(await replacementFiles("KEK", both, PK, time)),
        ...(await appendFiles("KEK", added, PK, time)),
        ...(await resign("db")),
        ...(await resign("dbx")),
      ];
    }
    case "PK": {
      const update = await replacementFiles("PK", added, await authority("PK"), time, "PK-update");
      // UEFI wants a PK that is enrolled in setup mode to be signed by itself.
      const own = await replacementFiles("PK", added, requireSigner(made, name), time);
      return [...own, ...update.filter(([file]) => file.endsWith(".auth")), ...(await resign("KEK"))];
    }
    default:
      return name satisfies never;
  }
}

function requireSigner({ certificate, signer }: NewKey, name: KeyName): Signer {
  if (signer !== undefined) return signer;
  throw new UsageError(
    "keys.rotate.new-key-missing",
    `the new ${name} ("${certificate.subject}") has updates to sign, and only its certificate is given`,
    { hint: "name the key as well: --new-key" },
  );
}

async function openNewKey(
  old: Certificate,
  options: RotateKeysOptions,
  now: Date,
  cleanup: AsyncDisposableStack,
): Promise<NewKey> {
  const { newCertificate, newKey } = options;
  if (newKey !== undefined) {
    const signer = cleanup.use(await openSigner(newKey, { ...options.signing, certificatePath: newCertificate }));
    return { certificate: signer.certificate, key: undefined, signer };
  }
  if (newCertificate !== undefined) {
    const bytes = await loadFile(newCertificate, "new certificate", MAX_FILE_SIZE, "keys.file-too-large");
    return { certificate: parseCertificate(bytes, newCertificate), key: undefined, signer: undefined };
  }
  const { bits, organization = namePart(old.subject, "O"), randomBytes, years } = options;
  const commonName = options.commonName ?? nextName(namePart(old.subject, "CN") ?? options.name);
  const { certificate, key } = await makeKeyPair({ bits, commonName, organization, years, now, randomBytes });
  const signer: Signer = {
    certificate,
    sign: (message) => key.sign(message),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { certificate, key, signer };
}

/** A part of a name in RFC 4514, when nothing in it is escaped. */
function namePart(subject: string, type: "CN" | "O"): string | undefined {
  if (/["\\#]/.test(subject)) return undefined;
  const value = new RegExp(`(?:^|,)${type}=([^,+]+)`).exec(subject)?.[1];
  return value !== undefined && value.length <= 60 ? value : undefined;
}

/** `Example db`, `Example db 2`, `Example db 3`. */
function nextName(name: string): string {
  const [, base = name, number = "1"] = /^(.*) (\d{1,4})$/.exec(name) ?? [];
  return `${base} ${Number(number) + 1}`;
}

function requireCertificate(certificates: ReadonlyMap<KeyName, Certificate>, name: KeyName): Certificate {
  const found = certificates.get(name);
  if (found !== undefined) return found;
  throw new NotFoundError("keys.not-found", `${name}.crt: no such certificate, so there is nothing to rotate`);
}
