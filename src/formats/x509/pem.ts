import { FormatError, quote } from "../../lib/errors.ts";
import { MAX_PEM_SIZE } from "./layout.ts";

export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY`, … */
  readonly label: string;
  readonly bytes: Uint8Array;
}

const BLOCK = /^-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n?-----END \1-----[ \t]*\r?$/gm;

/**
 * Finds the PEM blocks of a file; text around them is skipped, as RFC 7468 §2 allows.
 *
 * Blocks with headers (encrypted traditional keys) are not taken: what they hold is not base64 alone.
 *
 * @param what the file, for messages
 * @throws {FormatError} `pem.too-large`, `pem.base64`
 */
export function parsePem(bytes: Uint8Array, what: string): PemBlock[] {
  if (bytes.length > MAX_PEM_SIZE) {
    throw new FormatError("pem.too-large", {
      what,
      expected: `at most ${MAX_PEM_SIZE} bytes`,
      found: `${bytes.length} bytes`,
    });
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  return [...text.matchAll(BLOCK)].map(({ 1: label = "", 2: body = "", index }) => ({
    label,
    bytes: decodeBase64(body.replaceAll(/[\r\n]/g, ""), `${what}: ${label}`, index),
  }));
}

function decodeBase64(text: string, what: string, offset: number): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  // Node skips what is not base64; only a text that comes back unchanged was wholly read.
  if (bytes.toString("base64") !== text) {
    throw new FormatError("pem.base64", { what, offset, expected: "padded base64", found: quote(text) });
  }
  return bytes;
}

/** Lines of 64 characters, as RFC 7468 §2 wants them written. */
export function encodePem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
