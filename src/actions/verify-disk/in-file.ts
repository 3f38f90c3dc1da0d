import { FormatError, PolicyError, SealwrightError, VerificationError } from "../../lib/errors.ts";

/** Runs a check of one file; what it throws names the file, and keeps its code. */
export function inFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SealwrightError) || error.code === "interrupted") throw error;
    throw named(path, error);
  }
}

function named(path: string, error: SealwrightError): SealwrightError {
  const { code, data, hint, message } = error;
  const options = { cause: error, data: { ...data, path }, ...(hint === undefined ? {} : { hint }) };
  if (error instanceof FormatError) {
    const { expected, found, offset, what } = data as Record<"what" | "expected" | "found", string> & {
      offset?: number;
    };
    const place = `${path}: ${what}`;
    return new FormatError(
      code,
      { what: place, expected, found, ...(offset === undefined ? {} : { offset }) },
      options,
    );
  }
  if (error instanceof PolicyError) return new PolicyError(code, `${path}: ${message}`, options);
  return new VerificationError(code, `${path}: ${message}`, options);
}
