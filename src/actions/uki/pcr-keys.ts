/** Keys that sign predictions of PCR 11. */
import { createPublicKey, type KeyObject } from "node:crypto";
import { INITRD_PCR_POLICY, type PcrSigning } from "../../formats/uki/index.ts";
import { FormatError, UsageError } from "../../lib/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";
import { PrivateKey } from "../../model/signing/private-key.ts";

export interface PcrKeyOptions {
  /** PEM. Absent: policies are prepared, to be signed elsewhere. */
  readonly keyPath?: string;
  /** PEM. Absent: taken from the private key. */
  readonly publicKeyPath?: string;
  /** Words joined with ":". Default: the four of a running system. */
  readonly phasePaths?: readonly string[];
  readonly policyRef?: string;
  /** Called only when the key is encrypted. */
  readonly passphrase?: () => Promise<string>;
}

/** A key with the PEM that goes into `.pcrpkey`. */
export interface PcrKey {
  readonly signing: PcrSigning;
  readonly publicKeyPem: Uint8Array;
}

/** Safety limit: an RSA-16384 key is 13 KiB of PEM. */
const MAX_KEY_FILE_SIZE = 64 * 1024;

/**
 * @throws {UsageError} `uki.pcr.key-absent` when neither file is named, `uki.pcr.key-mismatch`, `signer.passphrase-…`
 * @throws {FormatError} `signer.key-unreadable`, `signer.file-too-large`, `uki.pcr.public-key`
 */
export async function openPcrKey(options: PcrKeyOptions): Promise<PcrKey> {
  const { keyPath, publicKeyPath, phasePaths, policyRef } = options;
  if (keyPath === undefined && publicKeyPath === undefined) {
    throw new UsageError("uki.pcr.key-absent", "PCR policy key: neither a private nor a public key is given");
  }
  const privateKey =
    keyPath === undefined ? undefined : await PrivateKey.parse(await loadKeyFile(keyPath), keyPath, options.passphrase);
  const given = publicKeyPath === undefined ? undefined : await loadKeyFile(publicKeyPath);
  const publicKey = given ? parsePublicKeyPem(given) : fromSpki(privateKey?.publicKey ?? new Uint8Array(0));
  if (privateKey !== undefined && !fromSpki(privateKey.publicKey).equals(publicKey)) {
    throw new UsageError(
      "uki.pcr.key-mismatch",
      `PCR policy key: ${publicKeyPath} is not the public key of ${keyPath}`,
    );
  }
  return {
    publicKeyPem: given ?? Buffer.from(publicKey.export({ type: "spki", format: "pem" })),
    signing: {
      publicKey,
      ...(privateKey && { sign: async (message) => await privateKey.sign(message) }),
      ...(phasePaths && { phasePaths }),
      ...(policyRef !== undefined && { policyRef }),
    },
  };
}

/** The first key once more, for a policy that only the initrd can use. */
export function initrdSigning({ signing: { publicKey, sign } }: PcrKey): PcrSigning {
  return { ...INITRD_PCR_POLICY, publicKey, ...(sign && { sign }) };
}

async function loadKeyFile(path: string): Promise<Uint8Array> {
  return await loadFile(path, "PCR policy key", MAX_KEY_FILE_SIZE, "signer.file-too-large");
}

function parsePublicKeyPem(pem: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(pem), format: "pem" });
  } catch (cause) {
    const options = { cause };
    throw new FormatError(
      "uki.pcr.public-key",
      { what: "PCR policy key", expected: "a public key in PEM", found: "other data" },
      options,
    );
  }
}

function fromSpki(der: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
}
