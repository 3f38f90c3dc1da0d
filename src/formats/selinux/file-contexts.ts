import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { type ParsedPattern, parsePattern } from "./pattern.ts";
import { fieldsOf, linesOf, trimSpace } from "./text.ts";

/** File types as file_contexts(5) writes them, and as they end the key that a spec is matched with. */
export const FILE_TYPES = ["-", "d", "l", "p", "s", "b", "c"] as const;
export type FileType = (typeof FILE_TYPES)[number];

/** One line of a file_contexts file: which nodes it speaks of, and what they are labelled. */
export interface FileSpec extends ParsedPattern {
  /** As written. */
  readonly regex: string;
  /** Absent: any type. */
  readonly type?: FileType;
  /** `undefined` for `<<none>>`: leave it without label. */
  readonly context: ByteString | undefined;
  readonly file: string;
  readonly line: number;
}

/** Longest file_contexts file, in specs. A safety limit; the largest known policy has about 8,000. */
const MAX_SPECS = 100_000;

/**
 * Parses a file_contexts file: lines of `REGEX [-TYPE] CONTEXT`.
 *
 * @param file name for messages
 * @throws {FormatError} `selinux.spec.fields`, `selinux.spec.type`, `selinux.file.not-utf8`, `selinux.pattern.syntax`
 * @throws {UnsupportedError} `selinux.pattern.unsupported`
 */
export function parseFileContexts(bytes: Uint8Array, file: string): FileSpec[] {
  const specs: FileSpec[] = [];
  for (const { number, fields } of fieldsOf(bytes, file)) {
    const what = `${file} line ${number}`;
    const [regex = "", ...rest] = fields;
    const type = rest[0]?.startsWith("-") ? parseFileType(rest.shift() as string, what) : undefined;
    const [context, surplus] = rest;
    if (context === undefined || surplus !== undefined) {
      const expected = "a regular expression, perhaps a type, and a context";
      throw new FormatError("selinux.spec.fields", { what, expected, found: `${fields.length} fields` });
    }
    if (specs.length === MAX_SPECS) {
      throw new FormatError("selinux.spec.too-many", { what, expected: `at most ${MAX_SPECS} lines`, found: "more" });
    }
    specs.push({
      ...parsePattern(regex, what),
      regex,
      ...(type === undefined ? {} : { type }),
      context: context === "<<none>>" ? undefined : byteString(context),
      file,
      line: number,
    });
  }
  return specs;
}

function parseFileType(field: string, what: string): FileType {
  const type = FILE_TYPES.find((known) => field === `-${known}`);
  if (type !== undefined) return type;
  const expected = `one of ${FILE_TYPES.map((known) => `-${known}`).join(" ")}`;
  throw new FormatError("selinux.spec.type", { what, expected, found: quote(field) });
}

/**
 * Parses a file_contexts.subs or .subs_dist file: lines of `ALIAS ORIGINAL`. A later line for the same alias wins.
 *
 * @throws {FormatError} `selinux.subs.fields`, `selinux.file.not-utf8`
 */
export function parseSubstitutions(bytes: Uint8Array, file: string): Map<ByteString, ByteString> {
  const aliases = new Map<ByteString, ByteString>();
  for (const { number, fields } of fieldsOf(bytes, file)) {
    const [alias, original] = fields;
    if (alias === undefined || original === undefined || fields.length > 2) {
      const mismatch = { what: `${file} line ${number}`, expected: "two paths", found: `${fields.length} fields` };
      throw new FormatError("selinux.subs.fields", mismatch);
    }
    aliases.set(byteString(alias), byteString(original));
  }
  return aliases;
}

/**
 * The policy that /etc/selinux/config names: the value of its first `SELINUXTYPE` line, in any case.
 * `SELINUX=disabled` changes nothing.
 *
 * @throws {FormatError} `selinux.file.not-utf8` when that line, or one before it, is no UTF-8
 */
export function parsePolicyName(bytes: Uint8Array, file: string): string | undefined {
  for (const { text } of linesOf(bytes, file)) {
    const [key, ...value] = text.split("=");
    if (value.length > 0 && /^selinuxtype$/i.test(trimSpace(key as string))) return trimSpace(value.join("="));
  }
  return undefined;
}
