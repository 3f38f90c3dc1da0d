import { FormatError } from "../../lib/errors.ts";
import {
  type Attribute,
  MAX_URI_LENGTH,
  OBJECT_TYPES,
  PATH_ATTRIBUTES,
  type Pkcs11Uri,
  QUERY_ATTRIBUTES,
} from "./layout.ts";

const SCHEME = "pkcs11:";

/** RFC 7512 §2.3, pk11-pchar and pk11-qchar: what stands for itself in a value, and percent-encoded bytes. */
const PATH_VALUE = /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=&]|%[0-9A-Fa-f]{2})*$/;
const QUERY_VALUE = /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=/?|]|%[0-9A-Fa-f]{2})*$/;

interface Part {
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly allowed: RegExp;
  /** What to do about a name that is not in the table. */
  readonly unknown: "refuse" | "skip";
}

const PATH: Part = { attributes: PATH_ATTRIBUTES, allowed: PATH_VALUE, unknown: "refuse" };
const QUERY: Part = { attributes: QUERY_ATTRIBUTES, allowed: QUERY_VALUE, unknown: "skip" };

/**
 * Reads a PKCS #11 URI. No message holds a value: one may be a PIN.
 *
 * @throws {FormatError} `pkcs11-uri.scheme`, `pkcs11-uri.length`, `pkcs11-uri.attribute`, `pkcs11-uri.unknown`,
 *   `pkcs11-uri.repeated`, `pkcs11-uri.character`, `pkcs11-uri.utf-8`, `pkcs11-uri.value`
 * @see RFC 7512 §2.3
 */
export function parsePkcs11Uri(text: string): Pkcs11Uri {
  if (!text.toLowerCase().startsWith(SCHEME)) refuse("scheme", "start", SCHEME, "another scheme");
  if (text.length > MAX_URI_LENGTH) {
    refuse("length", "length", `at most ${MAX_URI_LENGTH} characters`, `${text.length}`);
  }
  const rest = text.slice(SCHEME.length);
  const mark = rest.indexOf("?");
  const path = mark < 0 ? rest : rest.slice(0, mark);
  const members: Record<string, unknown> = {};
  readPart(path, ";", PATH, members);
  if (mark >= 0) readPart(rest.slice(mark + 1), "&", QUERY, members);
  return members;
}

function readPart(text: string, separator: string, part: Part, members: Record<string, unknown>): void {
  if (text === "") return;
  for (const pair of text.split(separator)) {
    const at = pair.indexOf("=");
    const name = pair.slice(0, Math.max(at, 0));
    if (!/^[A-Za-z0-9_-]+$/.test(name)) refuse("attribute", "attribute", "NAME=VALUE", "something else");
    const attribute = part.attributes.get(name);
    if (attribute === undefined) {
      if (part.unknown === "refuse") refuse("unknown", `attribute ${name}`, "one of RFC 7512", "an unknown one");
      continue;
    }
    if (attribute.member in members) refuse("repeated", `attribute ${name}`, "it once", "it again");
    members[attribute.member] = readValue(name, pair.slice(at + 1), attribute, part.allowed);
  }
}

function readValue(name: string, text: string, { kind }: Attribute, allowed: RegExp): unknown {
  const what = `attribute ${name}`;
  if (!allowed.test(text)) {
    refuse("character", what, "characters of a URI, others percent-encoded (a space is %20)", "another character");
  }
  const bytes = decodePercent(text);
  if (kind === "bytes") return bytes;
  const value = decodeUtf8(bytes, what);
  if (kind === "type" && !OBJECT_TYPES.some((type) => type === value)) {
    refuse("value", what, OBJECT_TYPES.join(", "), "something else");
  }
  if (kind === "version" && !/^\d{1,3}(?:\.\d{1,3})?$/.test(value))
    refuse("value", what, "MAJOR.MINOR", "something else");
  if (kind !== "number") return value;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : refuse("value", what, "a decimal number", "something else");
  return number;
}

function decodePercent(text: string): Uint8Array {
  const parts = text.split(/%([0-9A-Fa-f]{2})/);
  return Buffer.concat(parts.map((part, index) => Buffer.from(part, index % 2 === 0 ? "latin1" : "hex")));
}

function decodeUtf8(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse("utf-8", what, "UTF-8", "other bytes");
  }
}

function refuse(problem: string, what: string, expected: string, found: string): never {
  throw new FormatError(`pkcs11-uri.${problem}`, { what: `PKCS #11 URI: ${what}`, expected, found });
}
