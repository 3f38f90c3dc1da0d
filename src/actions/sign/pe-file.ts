/** PE files to sign and signed ones, on their way in and out. */
import { computeAuthenticodeDigest, listSignatures } from "../../formats/authenticode/index.ts";
import { parsePe } from "../../formats/pe/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { loadFile, storeFile } from "../../model/host-io/files.ts";

export interface OutputOptions {
  /** Default: the path of the input with `.signed`. */
  readonly output?: string | undefined;
  /** Replace the output; the input too, when both are the same. */
  readonly overwrite?: boolean;
}

export interface SignedFileReport {
  readonly output: string;
  /** Lower-case hex, SHA-256. */
  readonly authenticodeDigest: string;
  /** How many the file has now. */
  readonly signatures: number;
}

/** Safety limit: the sizes in a PE have 32 bits. */
const MAX_PE_SIZE = 2 ** 32 - 1;

export async function loadPe(path: string): Promise<Uint8Array> {
  return await loadFile(path, `PE file ${path}`, MAX_PE_SIZE, "pe.too-large");
}

export async function storePe(path: string, pe: Uint8Array, options: OutputOptions): Promise<SignedFileReport> {
  const { output = `${path}.signed`, overwrite = false } = options;
  await storeFile(output, pe, { overwrite });
  return {
    output,
    authenticodeDigest: toHex(computeAuthenticodeDigest(pe)),
    signatures: listSignatures(parsePe(pe)).length,
  };
}
