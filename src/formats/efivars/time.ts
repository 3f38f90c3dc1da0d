import { Cursor } from "../../lib/bytes/cursor.ts";
import { FormatError } from "../../lib/errors.ts";
import { EFI_TIME_SIZE } from "./layout.ts";

/**
 * Writes the EFI_TIME of an authenticated variable: to the second, every other field zero (UEFI 2.10 §8.2.2).
 *
 * @param time UTC; fractions of a second are cut
 */
export function encodeEfiTime(time: Date): Uint8Array {
  const year = time.getUTCFullYear();
  if (!(year >= 1900 && year <= 9999)) throw new RangeError(`year ${year} is outside 1900 to 9999`);
  const bytes = Buffer.alloc(EFI_TIME_SIZE);
  bytes.writeUInt16LE(year, 0);
  const fields = [time.getUTCMonth() + 1, time.getUTCDate(), time.getUTCHours(), time.getUTCMinutes()];
  bytes.set([...fields, time.getUTCSeconds()], 2);
  return bytes;
}

/**
 * Reads the EFI_TIME of an authenticated variable.
 *
 * @throws {FormatError} `efivars.time.malformed` for a date outside the calendar, `efivars.time.not-plain` when
 *   nanoseconds, time zone, daylight saving or padding are not zero, as firmware demands
 */
export function parseEfiTime(bytes: Uint8Array, what = "EFI_TIME"): Date {
  const cursor = new Cursor(bytes, what, "efivars.truncated");
  const year = cursor.u16le("Year");
  const [month, day, hour] = [cursor.u8("Month"), cursor.u8("Day"), cursor.u8("Hour")];
  const [minute, second] = [cursor.u8("Minute"), cursor.u8("Second")];
  if (cursor.bytes(9, "Pad1 to Pad2").some((byte) => byte !== 0)) {
    const expected = "zero nanoseconds, time zone and padding";
    throw new FormatError("efivars.time.not-plain", { what, offset: 7, expected, found: "something else" });
  }
  const time = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const same = time.getUTCMonth() === month - 1 && time.getUTCDate() === day && time.getUTCHours() === hour;
  if (year < 1900 || year > 9999 || !same || time.getUTCMinutes() !== minute || time.getUTCSeconds() !== second) {
    const found = `${year}-${month}-${day} ${hour}:${minute}:${second}`;
    const hint = month === 0 ? "sbvarsign 0.9.5 writes months one too low; sign again with another tool" : undefined;
    throw new FormatError(
      "efivars.time.malformed",
      { what, offset: 0, expected: "a date from 1900 to 9999, months from 1", found },
      hint === undefined ? {} : { hint },
    );
  }
  return time;
}
