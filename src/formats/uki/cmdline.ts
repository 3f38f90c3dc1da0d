import { FormatError, quote } from "../../lib/errors.ts";

/** One parameter of a kernel command line. */
export interface Parameter {
  /** As it stands there, quotes included. */
  readonly text: string;
  /** In front of the first "=". */
  readonly key: string;
  /** Behind it; absent without "=". */
  readonly value: string | undefined;
}

/**
 * Splits a kernel command line on ASCII white space outside double quotes. Quotes are not removed; one left open runs
 * to the end.
 *
 * @see Linux lib/cmdline.c, `next_arg()`; composefs and bootc split alike
 */
export function parseCommandLine(text: string): Parameter[] {
  const tokens = text.match(/(?:[^ \t\n\f\r"]|"[^"]*(?:"|$))+/g) ?? [];
  return tokens.map((token) => {
    const equals = token.indexOf("=");
    if (equals === -1) return { text: token, key: token, value: undefined };
    return { text: token, key: token.slice(0, equals), value: token.slice(equals + 1) };
  });
}

/** Joins words with single spaces and trims: what ukify does to a command line that does not come from a file. */
export function normalizeCommandLine(text: string): string {
  return text.split(/\s+/u).filter(Boolean).join(" ");
}

/** Adds parameters one by one; those that are there with the same key and value are left out. */
export function appendParameters(text: string, parameters: string): string {
  const all: Parameter[] = parseCommandLine(text);
  const added: string[] = [];
  for (const parameter of parseCommandLine(parameters)) {
    if (all.some((known) => isSameKey(known.key, parameter.key) && known.value === parameter.value)) continue;
    all.push(parameter);
    added.push(parameter.text);
  }
  return [text.trim(), ...added].filter((part) => part !== "").join(" ");
}

/** The kernel takes "-" for "_" in the names of parameters. */
export function isSameKey(a: string, b: string): boolean {
  return a.replaceAll("-", "_") === b.replaceAll("-", "_");
}

/**
 * Checks that stub, kernel and composefs split a command line at the same places: printable ASCII, with line ends only
 * at the end. The stub turns control characters into spaces, and the kernel takes the byte 0xa0 for one.
 *
 * @throws {FormatError} `uki.cmdline.character`
 */
export function requirePlainCommandLine(text: string): void {
  const body = text.replace(/[\n\0]+$/, "");
  const at = body.search(/[^\x20-\x7e]/);
  if (at === -1) return;
  throw new FormatError("uki.cmdline.character", {
    what: "kernel command line",
    offset: at,
    expected: "printable ASCII",
    found: `U+${(body.codePointAt(at) ?? 0).toString(16).padStart(4, "0")}`,
  });
}

/** What a command line says about the composefs digest of the tree to boot. */
export interface ComposefsArgument {
  readonly form: "composefs" | "composefs.digest";
  /** A "?" in front: the machine boots a tree without fs-verity too. Such a command line seals nothing. */
  readonly optional: boolean;
  /** EROFS format named in a `composefs.digest=`; the short form names none. */
  readonly version: 1 | 2 | undefined;
  readonly algorithm: "sha256" | "sha512";
  /** Lower-case hex. */
  readonly digestHex: string;
}

const HEX_LENGTH = { sha256: 64, sha512: 128 } as const;

/**
 * Finds every `composefs=` and `composefs.digest=` in order. The initramfs takes the first usable of the longer form,
 * and only without any the first of the shorter; bootc itself knows the shorter only.
 *
 * @throws {FormatError} `uki.cmdline.composefs-digest`, `uki.cmdline.composefs-descriptor`
 */
export function findComposefsArguments(text: string): ComposefsArgument[] {
  return parseCommandLine(text).flatMap((parameter) => {
    if (parameter.key === "composefs") return [parseShortForm(parameter)];
    if (parameter.key === "composefs.digest") return [parseLongForm(parameter)];
    return [];
  });
}

function parseShortForm(parameter: Parameter): ComposefsArgument {
  const { optional, rest } = splitOptional(parameter);
  const algorithm = rest.length === HEX_LENGTH.sha256 ? "sha256" : "sha512";
  const digestHex = requireDigest(rest, algorithm, parameter, "64 or 128 lower-case hex digits");
  return { form: "composefs", optional, version: undefined, algorithm, digestHex };
}

/** `v1-sha512-12:<hex>`: EROFS format, hash, log2 of the block size. */
function parseLongForm(parameter: Parameter): ComposefsArgument {
  const { optional, rest } = splitOptional(parameter);
  const [, version, algorithm, digest = ""] = /^v([12])-(sha256|sha512)-12:(.*)$/.exec(rest) ?? [];
  if (version === undefined || (algorithm !== "sha256" && algorithm !== "sha512")) {
    throw malformed(
      "uki.cmdline.composefs-descriptor",
      parameter,
      "v1 or v2, -sha256-12: or -sha512-12:, and the digest",
    );
  }
  const expected = `${HEX_LENGTH[algorithm]} lower-case hex digits behind the descriptor`;
  const digestHex = requireDigest(digest, algorithm, parameter, expected);
  return { form: "composefs.digest", optional, version: version === "1" ? 1 : 2, algorithm, digestHex };
}

function splitOptional({ value = "" }: Parameter): { readonly optional: boolean; readonly rest: string } {
  return value.startsWith("?") ? { optional: true, rest: value.slice(1) } : { optional: false, rest: value };
}

function requireDigest(
  text: string,
  algorithm: keyof typeof HEX_LENGTH,
  parameter: Parameter,
  expected: string,
): string {
  if (text.length === HEX_LENGTH[algorithm] && /^[0-9a-f]+$/.test(text)) return text;
  throw malformed("uki.cmdline.composefs-digest", parameter, expected);
}

function malformed(code: string, parameter: Parameter, expected: string): FormatError {
  const found = quote(parameter.text);
  return new FormatError(code, { what: `kernel command line: ${parameter.key}`, expected, found });
}
