import { FormatError } from "../../lib/errors.ts";

export interface Line {
  /** 1 is the first. */
  readonly number: number;
  readonly text: string;
}

/**
 * Lines as the reference reads them: ended by newline or carriage return and newline, each UTF-8 on its own, so that
 * what stands behind the last line that is asked for is not looked at.
 *
 * @throws {FormatError} `selinux.file.not-utf8`
 */
export function* linesOf(bytes: Uint8Array, file: string): Generator<Line> {
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (let start = 0, number = 1; start < bytes.length; number++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    yield { number, text: decode(utf8, bytes.subarray(start, end), `${file} line ${number}`).replace(/\r$/, "") };
    start = end + 1;
  }
}

function decode(utf8: InstanceType<typeof TextDecoder>, bytes: Uint8Array, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new FormatError("selinux.file.not-utf8", { what, expected: "UTF-8", found: "other bytes" });
  }
}

/** Unicode White_Space, which is not what `\s` means here: `\s` has U+FEFF and lacks U+0085. */
const WHITE_SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SEPARATOR = new RegExp(`[${WHITE_SPACE}]+`);
const EDGES = new RegExp(`^[${WHITE_SPACE}]+|[${WHITE_SPACE}]+$`, "g");

export const trimSpace = (text: string): string => text.replaceAll(EDGES, "");

/** Lines of fields between white space, without empty lines and comments. */
export function* fieldsOf(bytes: Uint8Array, file: string): Generator<Line & { readonly fields: readonly string[] }> {
  for (const line of linesOf(bytes, file)) {
    const fields = line.text.split(SEPARATOR).filter((field) => field !== "");
    if (fields.length > 0 && !fields[0]?.startsWith("#")) yield { ...line, fields };
  }
}
