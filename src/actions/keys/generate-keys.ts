import { mkdir, readdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { KEY_DATABASES, signVariable } from "../../formats/efivars/index.ts";
import { certificateList, encodeSignatureLists } from "../../formats/esl/index.ts";
import { buildCertificate, type Certificate, encodePem } from "../../formats/x509/index.ts";
import { type Guid, showGuid } from "../../lib/bytes/guid.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { InputOutputError, quote, UsageError } from "../../lib/errors.ts";
import { errnoOf, outputError } from "../../model/host-io/errors.ts";
import { exists, storeFile, syncDirectory } from "../../model/host-io/files.ts";
import { openTempDirBeside } from "../../model/host-io/temp.ts";
import { PrivateKey, type RsaBits } from "../../model/signing/private-key.ts";
import { KEY_NAMES, type KeyName, OWNER_FILE, signerOf } from "./key-directory.ts";
import { type KeyDirectory, showKeys } from "./show-keys.ts";

export interface GenerateKeysOptions {
  /** Must not exist, or be empty. */
  readonly directory: string;
  /** Default 2048, the only size that every firmware verifies. */
  readonly bits?: RsaBits;
  /** Subject of the certificates: `CN=<commonName> PK`, `… KEK`, `… db`. Default: the organization, or "Secure Boot". */
  readonly commonName?: string;
  readonly organization?: string;
  /** Validity, 1 to 100. Firmware does not look at it, but signing with an expired certificate is refused. Default 20. */
  readonly years?: number;
  /** Signature owner. Default: a random one. */
  readonly owner?: Guid;
  /** Start of validity, and time of the updates in `.auth` files: a later update of the same variable needs a later one. */
  readonly now: Date;
  /** For serial numbers and the signature owner; keys take theirs from the operating system. */
  readonly randomBytes: (size: number) => Uint8Array;
  readonly signal?: AbortSignal;
}

interface KeyPair {
  readonly key: PrivateKey;
  readonly certificate: Certificate;
}

const DEFAULT_YEARS = 20;
const MAX_YEARS = 100;

/**
 * Generates PK, KEK and db with everything that enrolling them needs, in the layout of `key-directory.ts`.
 *
 * The directory comes to be whole or not at all, and nothing that is there is ever replaced.
 *
 * @returns what `showKeys` says of the new directory
 * @throws {InputOutputError} `keys.exists` when the directory holds anything; `output.…`
 * @throws {UsageError} `keys.years` outside 1 to 100, `keys.name` for names that no certificate can carry
 */
export async function generateKeys(options: GenerateKeysOptions): Promise<KeyDirectory> {
  requireOptions(options);
  const { directory, signal, randomBytes } = options;
  const now = wholeSeconds(options.now);
  const owner = options.owner ?? randomGuid(randomBytes);
  await mkdir(dirname(directory), { recursive: true }).catch((error: unknown) => {
    throw outputError(error, dirname(directory));
  });
  await using temporary = await openTempDirBeside(directory);
  await requireFree(directory);

  const pairs = { PK: await makePair("PK"), KEK: await makePair("KEK"), db: await makePair("db") };
  const write = (name: string, content: Uint8Array | string): Promise<void> =>
    storeFile(join(temporary.path, name), Buffer.from(content), signal === undefined ? {} : { signal });
  for (const name of KEY_NAMES) {
    const { key, certificate } = pairs[name];
    const signer = pairs[signerOf(name)];
    const payload = encodeSignatureLists([certificateList(owner, certificate.der)]);
    const update = { ...KEY_DATABASES[name], time: now, payload };
    await key.store(join(temporary.path, `${name}.key`));
    await write(`${name}.crt`, encodePem("CERTIFICATE", certificate.der));
    await write(`${name}.cer`, certificate.der);
    await write(`${name}.esl`, payload);
    await write(`${name}.auth`, await signVariable(update, signer.certificate, (message) => signer.key.sign(message)));
  }
  await write(OWNER_FILE, `${showGuid(owner)}\n`);
  await publish(temporary.path, directory);
  return await showKeys(directory);

  async function makePair(name: KeyName): Promise<KeyPair> {
    const key = await PrivateKey.generate(options.bits ?? 2048);
    const { organization, commonName = organization ?? "Secure Boot", years = DEFAULT_YEARS } = options;
    const request = {
      subject: { commonName: `${commonName} ${name}`, ...(organization === undefined ? {} : { organization }) },
      serial: randomSerial(randomBytes),
      notBefore: now,
      notAfter: addYears(now, years),
      publicKey: key.publicKey,
      use: "signature" as const,
    };
    return { key, certificate: await buildCertificate(request, (message) => key.sign(message)) };
  }
}

function requireOptions({ years = DEFAULT_YEARS, commonName, organization }: GenerateKeysOptions): void {
  if (!Number.isInteger(years) || years < 1 || years > MAX_YEARS) {
    throw new UsageError("keys.years", `validity of ${years} years: expected a whole number from 1 to ${MAX_YEARS}`);
  }
  for (const name of [commonName, organization]) {
    // X.520 allows 64 characters (ub-common-name, ub-organization-name); " KEK" is added to the common name.
    if (name !== undefined && !/^[^\p{Cc}]{1,60}$/u.test(name)) {
      throw new UsageError(
        "keys.name",
        `name ${quote(name)}: expected 1 to 60 characters, none of them control characters`,
      );
    }
  }
}

async function requireFree(directory: string): Promise<void> {
  if (!(await exists(directory))) return;
  const names = await readdir(directory).catch(() => undefined);
  if (names?.length !== 0) throw occupied(directory);
}

/** A rename onto an empty directory replaces it, onto anything else it fails: nothing can slip in between. */
async function publish(from: string, directory: string): Promise<void> {
  await syncDirectory(from);
  try {
    await rename(from, directory);
  } catch (error) {
    if (["EEXIST", "ENOTEMPTY", "ENOTDIR"].includes(errnoOf(error) ?? "")) throw occupied(directory);
    throw outputError(error, directory);
  }
  await syncDirectory(dirname(directory));
}

function occupied(directory: string): InputOutputError {
  return new InputOutputError("keys.exists", `${quote(directory)}: holds something already, keys are never replaced`, {
    data: { path: directory },
    hint: "choose another directory",
  });
}

/** 16 random bytes, positive (RFC 5280 §4.1.2.2). */
function randomSerial(randomBytes: (size: number) => Uint8Array): bigint {
  const serial = BigInt(`0x${toHex(randomBytes(16))}`);
  return (serial & ((1n << 127n) - 1n)) | (1n << 126n);
}

/** RFC 9562 version 4; in the stored form of a GUID the version is the high half of byte 7. */
function randomGuid(randomBytes: (size: number) => Uint8Array): Guid {
  const guid = Uint8Array.from(randomBytes(16));
  guid[7] = ((guid[7] ?? 0) & 0x0f) | 0x40;
  guid[8] = ((guid[8] ?? 0) & 0x3f) | 0x80;
  return guid;
}

function wholeSeconds(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}

/** 29 February becomes 1 March in a year that has none. */
function addYears(time: Date, years: number): Date {
  const later = new Date(time);
  later.setUTCFullYear(time.getUTCFullYear() + years);
  return later;
}
