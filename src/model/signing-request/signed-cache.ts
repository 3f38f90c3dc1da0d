/**
 * Signatures of files that come again: systemd-boot is the same in many builds, and signing it elsewhere costs a round.
 *
 *     DIGEST.CERTIFICATE.p7s     Authenticode digest of the file, fingerprint of the certificate: its PKCS #7
 *
 * Whoever can write here can at worst make a round necessary: each signature is verified when it is used.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { computeAuthenticodeDigest } from "../../formats/authenticode/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { outputError } from "../host-io/errors.ts";
import { loadFile, storeFile } from "../host-io/files.ts";
import { completePe } from "./accept-signature.ts";

/** Safety limit, that of firmware for a signature. */
const MAX_SIGNATURE_SIZE = 64 << 10;

/** @returns the file with its signature, or nothing when there is no sound one */
export async function findSigned(
  cacheDirectory: string,
  pe: Uint8Array,
  certificate: Certificate,
): Promise<Uint8Array | undefined> {
  const file = pathOf(cacheDirectory, pe, certificate);
  try {
    const bytes = await loadFile(file, "signature", MAX_SIGNATURE_SIZE, "signing-request.too-large");
    return completePe(pe, certificate, new Uint8Array(), { kind: "pkcs7", file, bytes });
  } catch (error) {
    if (error instanceof SealwrightError) return undefined;
    throw error;
  }
}

/**
 * @param signature PKCS #7
 * @throws {InputOutputError} `output.unwritable`, `output.no-space`
 */
export async function keepSignature(
  cacheDirectory: string,
  pe: Uint8Array,
  certificate: Certificate,
  signature: Uint8Array,
): Promise<void> {
  const directory = join(cacheDirectory, DIRECTORY);
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw outputError(error, directory);
  });
  await storeFile(pathOf(cacheDirectory, pe, certificate), signature, { overwrite: true, mode: 0o600 });
}

/** Beside the records of layers, whose names start with an algorithm. */
const DIRECTORY = "signed";

function pathOf(cacheDirectory: string, pe: Uint8Array, { fingerprint }: Certificate): string {
  return join(cacheDirectory, DIRECTORY, `${toHex(computeAuthenticodeDigest(pe))}.${toHex(fingerprint)}.p7s`);
}
