/**
 * JSON as OCI wants it: I-JSON (RFC 7493) when read, canonical (RFC 8785) when written.
 *
 * Two readers that resolve a repeated name differently see two documents under one digest, so a repeated name is
 * refused, as the specification demands.
 *
 * @see OCI image specification 1.1, considerations.md, "JSON" and "Canonicalization"
 */
import { FormatError, quote } from "../../lib/errors.ts";

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** Safety limit: the documents of the specification need 6 levels, annotations add none. */
export const MAX_JSON_DEPTH = 64;

export interface JsonLimits {
  /** What is read, for messages. */
  readonly what: string;
  /** Cause code of everything that is wrong with the text. */
  readonly code: string;
  /** Largest text in bytes. */
  readonly maxSize: number;
}

/**
 * Parses one JSON text and refuses what two readers could read differently.
 *
 * Numbers outside the doubles lose digits, as in every I-JSON reader.
 *
 * @throws {FormatError} with `limits.code`: too large, not UTF-8, no JSON, a repeated name, too deep
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): JsonValue {
  const { what, code, maxSize } = limits;
  const refuse = (expected: string, found: string, offset?: number): FormatError =>
    new FormatError(code, offset === undefined ? { what, expected, found } : { what, offset, expected, found });

  if (bytes.length > maxSize) throw refuse(`at most ${maxSize} bytes`, `${bytes.length}`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuse("UTF-8 text", "other bytes");
  }
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    throw refuse("JSON", quote((error as Error).message));
  }
  const trouble = findTrouble(text);
  if (trouble !== undefined) {
    throw refuse(trouble.expected, trouble.found, Buffer.byteLength(text.slice(0, trouble.index)));
  }
  return value;
}

interface Trouble {
  readonly index: number;
  readonly expected: string;
  readonly found: string;
}

/** @param text well-formed JSON */
function findTrouble(text: string): Trouble | undefined {
  const names: Set<string>[] = [];
  for (let index = 0; index < text.length; index++) {
    switch (text[index]) {
      case "{":
      case "[":
        if (names.push(new Set()) > MAX_JSON_DEPTH) {
          return { index, expected: `at most ${MAX_JSON_DEPTH} levels`, found: "a deeper one" };
        }
        break;
      case "}":
      case "]":
        names.pop();
        break;
      case '"': {
        const end = endOfString(text, index);
        if (isName(text, end)) {
          const name = JSON.parse(text.slice(index, end)) as string;
          const known = names.at(-1) as Set<string>;
          if (known.has(name)) return { index, expected: "each name once", found: `${quote(name)} again` };
          known.add(name);
        }
        index = end - 1;
        break;
      }
      default:
    }
  }
  return undefined;
}

/** The index behind the closing quote of the string that starts at `index`. */
function endOfString(text: string, index: number): number {
  let at = index + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** A string is a name, and not a value, when a colon follows. */
function isName(text: string, end: number): boolean {
  let at = end;
  while (/^[ \t\r\n]$/.test(text[at] ?? "")) at++;
  return text[at] === ":";
}

/**
 * Encodes a value the one way RFC 8785 allows: no white space, names sorted by UTF-16 units. Members that are
 * `undefined` are left out.
 */
export function canonicalJson(value: unknown): Uint8Array {
  return Buffer.from(canonicalText(value), "utf8");
}

function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`);
  return `{${members.join(",")}}`;
}
