/** Signs one PE file. */
import { removeSignatures, signPe } from "../../formats/authenticode/index.ts";
import { openSigners, type SigningOptions, signOptions } from "./open-signers.ts";
import { loadPe, type OutputOptions, type SignedFileReport, storePe } from "./pe-file.ts";

export interface SignFileOptions extends SigningOptions, OutputOptions {
  /** Take the signatures off that the file has. */
  readonly replaceSignatures?: boolean;
}

export interface SignFileReport extends SignedFileReport {
  /** Subjects of those who signed now. */
  readonly signers: readonly string[];
}

/**
 * Adds a signature by each key to a PE file; those that it has stay, unless they are to be replaced.
 *
 * @throws {FormatError} `pe.*` when the file is no PE, `signer.*`; {InputOutputError} `output.exists`
 */
export async function signFile(path: string, options: SignFileOptions): Promise<SignFileReport> {
  const input = await loadPe(path);
  await using signers = await openSigners(options);
  let pe = options.replaceSignatures === true ? removeSignatures(input) : input;
  for (const signer of signers.all) pe = await signPe(pe, signer, signOptions(signer, options));
  const report = await storePe(path, pe, options);
  return { ...report, signers: signers.all.map(({ certificate }) => certificate.subject) };
}
