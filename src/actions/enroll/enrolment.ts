/** What is to be enrolled: the contents of PK, KEK, db and dbx, and the signed updates that write them. */
import { join } from "node:path";
import {
  encodeAuthenticatedVariable,
  KEY_DATABASES,
  parseAuthenticatedVariable,
  signVariable,
} from "../../formats/efivars/index.ts";
import { certificateList, encodeSignatureLists, imageHashList, type SignatureList } from "../../formats/esl/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { NotFoundError, quote, VerificationError } from "../../lib/errors.ts";
import { exists, loadFile } from "../../model/host-io/files.ts";
import { type BootKeys, loadBootKeys } from "../../model/machine/boot-keys.ts";
import { MICROSOFT_OWNER } from "../../model/secure-boot/index.ts";
import { openSigner, type SignerOptions } from "../../model/signing/index.ts";

/** In the order in which firmware is written: PK ends setup mode. */
export const ENROLMENT_ORDER = ["db", "dbx", "KEK", "PK"] as const;
export type EnrolledName = (typeof ENROLMENT_ORDER)[number];

export interface Enrolment {
  readonly keys: BootKeys;
  /** dbx is absent where nothing was revoked. */
  readonly lists: ReadonlyMap<EnrolledName, readonly SignatureList[]>;
}

export interface EnrolmentOptions {
  /** Microsoft's certificates to allow besides one's own. */
  readonly microsoft?: readonly Certificate[];
  /** Authenticode digests (SHA-256) of option ROMs to allow. */
  readonly optionRoms?: readonly Uint8Array[];
}

/** Reads a key directory; certificates alone are enough. @throws as `loadBootKeys` */
export async function loadEnrolment(directory: string, options: EnrolmentOptions = {}): Promise<Enrolment> {
  const keys = await loadBootKeys(directory);
  const { microsoft = [], optionRoms = [] } = options;
  const own = (...certificates: (Certificate | undefined)[]): SignatureList[] =>
    certificates.filter((one) => one !== undefined).map(({ der }) => certificateList(keys.owner, der));
  const db = [
    ...own(keys.db, keys.old?.db),
    ...microsoft.map(({ der }) => certificateList(MICROSOFT_OWNER, der)),
    ...(optionRoms.length === 0 ? [] : [imageHashList(keys.owner, optionRoms)]),
  ];
  const lists = new Map<EnrolledName, readonly SignatureList[]>([
    ["db", db],
    ["KEK", own(keys.KEK, keys.old?.KEK)],
    ["PK", own(keys.PK)],
  ]);
  if (keys.dbx !== undefined) lists.set("dbx", keys.dbx);
  return { keys, lists };
}

export interface SignedUpdate {
  readonly name: EnrolledName;
  /** The content of an `.auth` file, to be written with the attributes 0x27. */
  readonly auth: Uint8Array;
  /** Unsigned ones are taken in setup mode alone. */
  readonly signed: boolean;
}

/** Safety limit: dbx has some ten KiB. */
const MAX_UPDATE_SIZE = 1 << 20;

/**
 * The updates that bring a machine in setup mode to this enrolment. The `.auth` files of the directory are taken where
 * they say the same; what they do not say (Microsoft's certificates, option ROMs) is signed anew when KEK's key is in the
 * directory, and otherwise left unsigned, which setup mode allows for everything but PK.
 *
 * @throws {NotFoundError} `enrol.pk-update-missing`
 * @throws {VerificationError} `enrol.pk-update-differs`
 * @throws as `openSigner`
 */
export async function makeUpdates(
  directory: string,
  { keys, lists }: Enrolment,
  signing: Omit<SignerOptions, "certificatePath">,
): Promise<SignedUpdate[]> {
  const updates: SignedUpdate[] = [];
  for (const name of ENROLMENT_ORDER) {
    const content = lists.get(name);
    if (content === undefined) continue;
    const payload = encodeSignatureLists(content);
    const stored = await loadStored(directory, name);
    if (stored !== undefined && equalBytes(stored.payload, payload)) {
      updates.push({ name, auth: stored.auth, signed: stored.signed });
    } else if (name === "PK") {
      throw stored === undefined ? pkMissing(directory) : pkDiffers(directory);
    } else {
      updates.push(await makeUpdate(directory, name, payload, keys, signing));
    }
  }
  return updates;
}

async function loadStored(directory: string, name: EnrolledName) {
  const path = join(directory, `${name}.auth`);
  if (!(await exists(path))) return undefined;
  const auth = await loadFile(path, `${name}.auth`, MAX_UPDATE_SIZE, "enrol.update-too-large");
  const { payload, signature } = parseAuthenticatedVariable(auth, `${name}.auth`);
  return { auth, payload, signed: signature.length > 0 };
}

async function makeUpdate(
  directory: string,
  name: Exclude<EnrolledName, "PK">,
  payload: Uint8Array,
  keys: BootKeys,
  signing: Omit<SignerOptions, "certificatePath">,
): Promise<SignedUpdate> {
  const authority = name === "KEK" ? "PK" : "KEK";
  const keyPath = join(directory, `${authority}.key`);
  if (!(await exists(keyPath))) {
    const time = keys[authority].notBefore;
    return { name, auth: encodeAuthenticatedVariable({ time, signature: new Uint8Array(), payload }), signed: false };
  }
  const time = new Date(Math.floor(signing.now.getTime() / 1000) * 1000);
  await using signer = await openSigner(keyPath, { ...signing, certificatePath: join(directory, `${authority}.crt`) });
  const update = { ...KEY_DATABASES[name], time, payload };
  return { name, auth: await signVariable(update, signer.certificate, (m) => signer.sign(m)), signed: true };
}

function pkMissing(directory: string): NotFoundError {
  return new NotFoundError("enrol.pk-update-missing", `PK.auth is not in ${quote(directory)}`, {
    hint: "firmware takes a PK that is signed by itself alone: make it with sealwright keys generate, or sign-efi-sig-list",
  });
}

function pkDiffers(directory: string): VerificationError {
  const message = `PK.auth in ${quote(directory)} enrols something else than PK.crt`;
  return new VerificationError("enrol.pk-update-differs", message, { hint: `sealwright keys show ${directory}` });
}
