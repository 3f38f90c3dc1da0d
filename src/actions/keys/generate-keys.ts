import { mkdir, readdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { KEY_DATABASES, signVariable } from "../../formats/efivars/index.ts";
import { certificateList, encodeSignatureLists } from "../../formats/esl/index.ts";
import { encodePem } from "../../formats/x509/index.ts";
import { type Guid, showGuid } from "../../lib/bytes/guid.ts";
import { InputOutputError, quote } from "../../lib/errors.ts";
import { errnoOf, outputError } from "../../model/host-io/errors.ts";
import { exists, storeFile, syncDirectory } from "../../model/host-io/files.ts";
import { openTempDirBeside } from "../../model/host-io/temp.ts";
import type { RsaBits } from "../../model/signing/private-key.ts";
import { KEY_NAMES, type KeyName, OWNER_FILE, signerOf } from "./key-directory.ts";
import { type KeyPair, makeKeyPair, requireKeyPairOptions } from "./key-pair.ts";
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
  const { directory, signal, randomBytes, organization, commonName = organization ?? "Secure Boot" } = options;
  const nameOf = (name: KeyName): string => `${commonName} ${name}`;
  for (const name of KEY_NAMES) requireKeyPairOptions({ ...options, commonName: nameOf(name) });
  const now = wholeSeconds(options.now);
  const owner = options.owner ?? randomGuid(randomBytes);
  await mkdir(dirname(directory), { recursive: true }).catch((error: unknown) => {
    throw outputError(error, dirname(directory));
  });
  await using temporary = await openTempDirBeside(directory);
  await requireFree(directory);

  const makePair = (name: KeyName): Promise<KeyPair> => makeKeyPair({ ...options, commonName: nameOf(name), now });
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

/** RFC 9562 version 4; in the stored form of a GUID the version is the high half of byte 7. */
function randomGuid(randomBytes: (size: number) => Uint8Array): Guid {
  const guid = Uint8Array.from(randomBytes(16));
  guid[7] = ((guid[7] ?? 0) & 0x0f) | 0x40;
  guid[8] = ((guid[8] ?? 0) & 0x3f) | 0x80;
  return guid;
}

/** The precision of EFI_TIME and of certificates. */
export function wholeSeconds(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}
