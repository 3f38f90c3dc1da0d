/** Keys that sign predictions of PCR 11. */
import { createPublicKey, type KeyObject } from "node:crypto";
import { INITRD_PCR_POLICY, type PcrSigning } from "../../formats/uki/index.ts";
import { FormatError, UsageError } from "../../lib/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";
import { type KeyContext, openPolicyKey } from "../../model/signing/index.ts";

export interface PcrKeyOptions extends KeyContext {
  /** A file, or a key elsewhere in the notation of `openSigner`. Absent: policies are prepared, to be signed elsewhere. */
  readonly key?: string;
  /** PEM. Absent: taken from the private key. */
  readonly publicKeyPath?: string;
  /** Words joined with ":". Default: the four of a running system. */
  readonly phasePaths?: readonly string[];
  readonly policyRef?: string;
}

/** A key with the PEM that goes into `.pcrpkey`. */
export interface PcrKey extends AsyncDisposable {
  readonly signing: PcrSigning;
  readonly publicKeyPem: Uint8Array;
}

/** Safety limit: an RSA-16384 key is 13 KiB of PEM. */
const MAX_KEY_FILE_SIZE = 64 * 1024;

/**
 * @throws {UsageError} `uki.pcr.key-absent` when neither key is named, `uki.pcr.key-mismatch`
 * @throws {FormatError} `signer.file-too-large`, `uki.pcr.public-key`
 * @throws as `openSigner`
 */
export async function openPcrKey(options: PcrKeyOptions): Promise<PcrKey> {
  const { key, publicKeyPath, phasePaths, policyRef } = options;
  if (key === undefined && publicKeyPath === undefined) {
    throw new UsageError("uki.pcr.key-absent", "PCR policy key: neither a private nor a public key is given");
  }
  const pem = publicKeyPath === undefined ? undefined : await loadPublicKey(publicKeyPath);
  const given = pem && parsePublicKeyPem(pem);
  const spki = given?.export({ type: "spki", format: "der" });
  const privateKey = key === undefined ? undefined : await openPolicyKey(key, { ...options, publicKey: spki });
  const publicKey = given ?? fromSpki(privateKey?.publicKey.spki ?? new Uint8Array(0));
  return {
    publicKeyPem: pem ?? Buffer.from(publicKey.export({ type: "spki", format: "pem" })),
    signing: {
      publicKey,
      ...(privateKey && { sign: async (message) => await privateKey.sign(message) }),
      ...(phasePaths && { phasePaths }),
      ...(policyRef !== undefined && { policyRef }),
    },
    [Symbol.asyncDispose]: async () => await privateKey?.[Symbol.asyncDispose](),
  };
}

/** The first key once more, for a policy that only the initrd can use. */
export function initrdSigning({ signing: { publicKey, sign } }: Pick<PcrKey, "signing">): PcrSigning {
  return { ...INITRD_PCR_POLICY, publicKey, ...(sign && { sign }) };
}

async function loadPublicKey(path: string): Promise<Uint8Array> {
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
