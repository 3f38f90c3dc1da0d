import { UsageError } from "../errors.ts";
import { toHex } from "./numbers.ts";

/** EFI_GUID in its 16 stored bytes: the first three fields are little-endian (UEFI 2.10 appendix A). */
export type Guid = Uint8Array;

const TEXT = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i;

/** @throws {UsageError} `guid.malformed` when `text` is not 8-4-4-4-12 hex digits */
export function parseGuid(text: string): Guid {
  const fields = TEXT.exec(text)?.slice(1);
  if (fields === undefined) {
    throw new UsageError(
      "guid.malformed",
      `GUID ${JSON.stringify(text.slice(0, 80))}: expected the form 8be4df61-93ca-11d2-aa0d-00e098032b8c`,
    );
  }
  const [a, b, c, d, e] = fields.map((field) => Buffer.from(field, "hex")) as [Buffer, Buffer, Buffer, Buffer, Buffer];
  return Buffer.concat([a.reverse(), b.reverse(), c.reverse(), d, e]);
}

export function showGuid(guid: Guid): string {
  const bytes = Buffer.from(guid);
  const a = bytes.subarray(0, 4).reverse();
  const b = bytes.subarray(4, 6).reverse();
  const c = bytes.subarray(6, 8).reverse();
  return [a, b, c, bytes.subarray(8, 10), bytes.subarray(10, 16)].map((part) => toHex(part)).join("-");
}
