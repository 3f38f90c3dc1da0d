/** Bodies of requests, with limits. */
import type { Context } from "hono";
import { FormatError, quote } from "../lib/errors.ts";

/** @throws {FormatError} `service.content-type` */
export function requireContentType(context: Context, expected: string): void {
  const found = context.req.header("content-type") ?? "";
  if (found.split(";")[0]?.trim().toLowerCase() === expected) return;
  throw new FormatError("service.content-type", { what: "content type", expected, found: quote(found) });
}

/** @throws {FormatError} `service.body-too-large`, also before the body came */
export async function* streamBody(context: Context, maxSize: number): AsyncGenerator<Uint8Array, void, void> {
  if (Number(context.req.header("content-length") ?? 0) > maxSize) throw tooLarge(maxSize);
  const { body } = context.req.raw;
  if (body === null) return;
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxSize) throw tooLarge(maxSize);
    yield chunk;
  }
}

/** @throws as `streamBody` */
export async function loadBody(context: Context, maxSize: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamBody(context, maxSize)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function tooLarge(maxSize: number): FormatError {
  return new FormatError("service.body-too-large", {
    what: "body",
    expected: `at most ${maxSize} bytes`,
    found: "more",
  });
}
