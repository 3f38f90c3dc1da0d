import { FormatError, PolicyError, SealwrightError, UnsupportedError, VerificationError } from "./errors.ts";

/**
 * Runs work on one file; what it refuses names the file, and keeps its code.
 *
 * @param path of the file, or what finds it once it is needed
 */
export function inFile<T>(path: string | (() => string), work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SealwrightError) || error.code === "interrupted") throw error;
    throw named(typeof path === "string" ? path : path(), error);
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
      { ...options, data: { ...options.data, what: place } },
    );
  }
  if (error instanceof PolicyError) return new PolicyError(code, `${path}: ${message}`, options);
  if (error instanceof UnsupportedError) return new UnsupportedError(code, `${path}: ${message}`, options);
  return new VerificationError(code, `${path}: ${message}`, options);
}
