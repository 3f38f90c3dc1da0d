import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  type PrivateKeyInput,
  sign,
} from "node:crypto";
import { promisify } from "node:util";
import { FormatError, quote, UsageError } from "../../lib/errors.ts";
import { storeFile } from "../host-io/files.ts";

/** RSA sizes that are written to new keys. Every firmware takes 2048; 3072 and 4096 are not sure to work. */
export type RsaBits = 2048 | 3072 | 4096;

const signWith = promisify(sign);
const generate = promisify(generateKeyPair);

/**
 * A private key. Its bytes stay in here: it signs, and it can be stored in a file, but not read.
 */
export class PrivateKey {
  readonly #key: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;

  private constructor(key: KeyObject) {
    this.#key = key;
    this.publicKey = createPublicKey(key).export({ format: "der", type: "spki" });
  }

  static async generate(bits: RsaBits): Promise<PrivateKey> {
    const { privateKey } = await generate("rsa", { modulusLength: bits, publicExponent: 0x10001 });
    return new PrivateKey(privateKey);
  }

  /**
   * Reads PEM: PKCS#8, PKCS#1 or SEC1, encrypted or not. Fills `pem` with zeros.
   *
   * @param passphrase called when the key is encrypted
   * @param path for messages, which say nothing of the content
   * @throws {UsageError} `signer.passphrase-needed`, `signer.passphrase-wrong`
   * @throws {FormatError} `signer.key-unreadable`
   */
  static async parse(
    pem: Uint8Array,
    path: string,
    passphrase: (() => Promise<string>) | undefined,
  ): Promise<PrivateKey> {
    const key = Buffer.from(pem.buffer, pem.byteOffset, pem.byteLength);
    try {
      const encrypted = key.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----") || key.includes("Proc-Type: 4,ENCRYPTED");
      if (!encrypted) return new PrivateKey(load({ key, format: "pem" }, unreadable(path)));
      if (passphrase === undefined) throw passphraseNeeded(path);
      return new PrivateKey(load({ key, format: "pem", passphrase: await passphrase() }, passphraseWrong(path)));
    } finally {
      key.fill(0);
    }
  }

  async sign(message: Uint8Array): Promise<Uint8Array> {
    return await signWith("sha256", message, this.#key);
  }

  /**
   * Writes the key unencrypted, PKCS#8 in PEM, readable for its owner alone.
   *
   * @throws {InputOutputError} `output.…`
   */
  async store(path: string): Promise<void> {
    const pem = Buffer.from(this.#key.export({ format: "pem", type: "pkcs8" }));
    try {
      await storeFile(path, pem, { mode: 0o600 });
    } finally {
      pem.fill(0);
    }
  }
}

/** OpenSSL's own message is dropped: nothing that was near a key goes into an error. */
function load(input: PrivateKeyInput, refusal: Error): KeyObject {
  try {
    return createPrivateKey(input);
  } catch {
    throw refusal;
  }
}

function unreadable(path: string): FormatError {
  return new FormatError("signer.key-unreadable", {
    what: `private key ${quote(path)}`,
    expected: "a private key in PEM: PKCS#8, PKCS#1 or SEC1",
    found: "something else",
  });
}

function passphraseNeeded(path: string): UsageError {
  return new UsageError(
    "signer.passphrase-needed",
    `${quote(path)}: the key is encrypted, and no passphrase was given`,
  );
}

function passphraseWrong(path: string): UsageError {
  return new UsageError("signer.passphrase-wrong", `${quote(path)}: the passphrase does not open it`);
}
