/**
 * The families of everything Sealwright refuses, one class per thing a caller can do about it.
 *
 * Each error has a stable cause code (`<area>.<thing>.<what-is-wrong>`), data for machines and the exit status
 * of its family. Anything thrown that is not a `SealwrightError` is a bug in Sealwright.
 */

export interface ErrorOptions {
  readonly cause?: unknown;
  /** Facts for machines; never key material, tokens or credentials. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** What the user can do about it: a command, a flag, a file to look at. */
  readonly hint?: string;
}

export abstract class SealwrightError extends Error {
  /** Stable, dotted, lower case; never renamed once released. */
  readonly code: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;
  abstract readonly exitCode: number;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.data = Object.freeze({ ...options.data });
    this.hint = options.hint;
  }
}

/** The command line or a configuration file is wrong. */
export class UsageError extends SealwrightError {
  readonly exitCode = 64;
}

export interface Mismatch {
  /** Structure and field, in the words of the specification. */
  readonly what: string;
  /** Bytes from the start of what was being read. */
  readonly offset?: number | bigint;
  readonly expected: string;
  readonly found: string;
}

/** `what at byte N: found X, expected Y`: the one sentence every format refusal is made of. */
export function mismatchSentence({ what, offset, expected, found }: Mismatch): string {
  const place = offset === undefined ? what : `${what} at byte ${offset}`;
  return `${place}: found ${found}, expected ${expected}`;
}

/** Bytes do not follow their specification. */
export class FormatError extends SealwrightError {
  readonly exitCode = 65;

  constructor(code: string, mismatch: Mismatch, options: ErrorOptions = {}) {
    const { what, offset, expected, found } = mismatch;
    const data = { what, expected, found, ...(offset === undefined ? {} : { offset: Number(offset) }) };
    super(code, mismatchSentence(mismatch), { ...options, data: { ...data, ...options.data } });
  }
}

/** Something the user named is not there. */
export class NotFoundError extends SealwrightError {
  readonly exitCode = 66;
}

/** A registry, or what lies between it and us, refused or failed. */
export class RegistryError extends SealwrightError {
  readonly exitCode = 69;
  /** The same request may be granted later. */
  readonly temporary: boolean;

  constructor(code: string, message: string, options: ErrorOptions & { readonly temporary?: boolean } = {}) {
    const { temporary = false, ...rest } = options;
    super(code, message, rest);
    this.temporary = temporary;
  }
}

/** A key service, a token or a timestamping authority refused or failed. */
export class ServiceError extends SealwrightError {
  readonly exitCode = 69;
}

/** The operating system refused: permission, space, an output that exists already. */
export class InputOutputError extends SealwrightError {
  readonly exitCode = 74;
}

/** A subprocess failed. */
export class CommandError extends SealwrightError {
  readonly exitCode = 71;
}

/** Not authentic: a digest, a signature or a chain does not hold. */
export class VerificationError extends SealwrightError {
  readonly exitCode = 80;
}

/** Authentic, but the rules do not allow it. */
export class PolicyError extends SealwrightError {
  readonly exitCode = 81;
}

/** Well-formed, but Sealwright does not do it; the message names the feature. */
export class UnsupportedError extends SealwrightError {
  readonly exitCode = 82;
}

/** Stopped by the user (Ctrl-C, SIGTERM). 128 + SIGINT, as a shell reports it. */
export class InterruptedError extends SealwrightError {
  readonly exitCode = 130;

  constructor() {
    super("interrupted", "interrupted; nothing was left half-written");
  }
}

/** Quotes untrusted text for a message: JSON escapes, cut at 80 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
