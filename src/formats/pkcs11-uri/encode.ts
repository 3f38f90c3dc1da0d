import { type Attribute, PATH_ATTRIBUTES, type Pkcs11Uri, QUERY_ATTRIBUTES } from "./layout.ts";

/** RFC 3986 §2.3: what every reader takes unencoded. */
const UNRESERVED = /[A-Za-z0-9\-._~]/;

/**
 * Writes a PKCS #11 URI; attributes stand in the order of p11tool's. Every byte of an `id` is encoded, as RFC 7512 §2.3
 * recommends.
 */
export function encodePkcs11Uri(uri: Pkcs11Uri): string {
  const path = encodePart(uri, PATH_ATTRIBUTES);
  const query = encodePart(uri, QUERY_ATTRIBUTES, "/:");
  return `pkcs11:${path.join(";")}${query.length === 0 ? "" : `?${query.join("&")}`}`;
}

function encodePart(uri: Pkcs11Uri, attributes: ReadonlyMap<string, Attribute>, also = ""): string[] {
  return [...attributes].flatMap(([name, { member }]) => {
    const value = uri[member];
    if (value === undefined) return [];
    return [`${name}=${value instanceof Uint8Array ? encodeBytes(value) : encodeText(String(value), also)}`];
  });
}

function encodeText(text: string, also: string): string {
  const allowed = (character: string): boolean => UNRESERVED.test(character) || also.includes(character);
  const parts = [...Buffer.from(text, "utf8")].map((byte) => {
    const character = String.fromCharCode(byte);
    return allowed(character) ? character : encodeBytes(Uint8Array.of(byte));
  });
  return parts.join("");
}

function encodeBytes(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}
