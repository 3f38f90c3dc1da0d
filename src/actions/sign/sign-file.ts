/** Signs one PE file. */
import { computeAuthenticodeDigest, listSignatures, signPe } from "../../formats/authenticode/index.ts";
import { parsePe } from "../../formats/pe/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { loadFile, storeFile } from "../../model/host-io/files.ts";
import { openSigner, type SignerOptions } from "../../model/signing/index.ts";

export interface SignFileOptions extends SignerOptions {
  /** A file, or a key elsewhere in the notation of `openSigner`. */
  readonly key: string;
  /** Default: the path of the input with `.signed`. */
  readonly output?: string | undefined;
  /** Replace the output; the input too, when both are the same. */
  readonly overwrite?: boolean;
  /** Default: the start of the certificate's validity, so that the same input gives the same bytes. */
  readonly buildTime?: Date | undefined;
}

export interface SignFileReport {
  readonly output: string;
  readonly signer: string;
  /** Lower-case hex, SHA-256. */
  readonly authenticodeDigest: string;
  /** How many the file has now. */
  readonly signatures: number;
}

/** Safety limit: the sizes in a PE have 32 bits. */
const MAX_PE_SIZE = 2 ** 32 - 1;

/**
 * Adds a signature to a PE file; those that it has stay.
 *
 * @throws {FormatError} `pe.*` when the file is no PE, `signer.*`; {InputOutputError} `output.exists`
 */
export async function signFile(path: string, options: SignFileOptions): Promise<SignFileReport> {
  await using signer = await openSigner(options.key, options);
  const { buildTime, output = `${path}.signed`, overwrite = false } = options;
  const pe = await loadFile(path, `PE file ${path}`, MAX_PE_SIZE, "pe.too-large");
  const signed = await signPe(pe, signer, { signingTime: buildTime ?? signer.certificate.notBefore });
  await storeFile(output, signed, { overwrite });
  return {
    output,
    signer: signer.certificate.subject,
    authenticodeDigest: toHex(computeAuthenticodeDigest(signed)),
    signatures: listSignatures(parsePe(signed)).length,
  };
}
