import { createGunzip } from "node:zlib";
import { FormatError, SealwrightError } from "../errors.ts";
import { ONE_AT_A_TIME, through } from "./through.ts";

/**
 * Inflates gzip, all its members (RFC 1952 section 2.2).
 *
 * @throws {FormatError} `gzip.truncated`, `gzip.corrupt` (also for bytes after the last member that
 *   start none, zeros included)
 */
export async function* gunzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let size = 0;
  const engine = createGunzip(ONE_AT_A_TIME);
  async function* counted(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of source) {
      size += chunk.length;
      if (chunk.length > 0) yield chunk;
    }
  }
  try {
    yield* through(counted(), engine);
  } catch (error) {
    throw refusal(error, engine.bytesWritten);
  }
  if (size === 0) throw refusal({ code: "Z_BUF_ERROR" }, 0);
  // node:zlib takes zeros after a member for padding and whatever follows them for nothing.
  if (engine.bytesWritten !== size) {
    throw new FormatError("gzip.corrupt", {
      what: "gzip stream",
      offset: engine.bytesWritten,
      expected: "a member or the end",
      found: `${size - engine.bytesWritten} more bytes`,
    });
  }
}

function refusal(error: unknown, offset: number): unknown {
  const { code, message } = error as { code?: string; message?: string };
  if (error instanceof SealwrightError || code === undefined || !code.startsWith("Z_")) return error;
  return code === "Z_BUF_ERROR"
    ? new FormatError("gzip.truncated", {
        what: "gzip stream",
        offset,
        expected: "the rest of a member",
        found: "the end",
      })
    : new FormatError(
        "gzip.corrupt",
        { what: "gzip stream", offset, expected: "a gzip member", found: message ?? code },
        { cause: error },
      );
}
