import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { fromHex } from "../../../test/hex.ts";
import { DerReader, der, readOnly, TAG } from "./index.ts";

const reader = (hex: string): DerReader => new DerReader(fromHex(hex), "test value");

describe("encoding", () => {
  test.each([
    [0, "00"],
    [127, "7f"],
    [128, "81 80"],
    [255, "81 ff"],
    [256, "82 01 00"],
    [65_536, "83 01 00 00"],
  ])("der.length(%i) gives the shortest form", (size, hex) => {
    expect(der.length(size)).toEqual(new Uint8Array(fromHex(hex)));
  });

  test.each([
    [0, "02 01 00"],
    [127, "02 01 7f"],
    [128, "02 02 00 80"],
    [-1, "02 01 ff"],
    [-128, "02 01 80"],
    [-129, "02 02 ff 7f"],
    [0x1003, "02 02 10 03"],
  ])("der.integer(%i) gives the fewest bytes", (value, hex) => {
    expect(der.integer(value)).toEqual(fromHex(hex));
  });

  test.each([
    ["1.2.840.113549.1.7.2", "06 09 2a 86 48 86 f7 0d 01 07 02"],
    ["1.3.6.1.4.1.311.2.1.4", "06 0a 2b 06 01 04 01 82 37 02 01 04"],
    ["2.999.3", "06 03 88 37 03"],
  ])("der.oid(%s) and back", (dotted, hex) => {
    expect(der.oid(dotted)).toEqual(fromHex(hex));
    expect(reader(hex).oid("oid")).toBe(dotted);
  });

  test.each(["", "1", "3.1", "1.40.1", "1.2.x", "1.2.-3"])("der.oid(%j) refuses", (dotted) => {
    expect(() => der.oid(dotted)).toThrow(RangeError);
  });

  test("der.setOf() sorts by encoded bytes", () => {
    expect(der.setOf(der.integer(300), der.integer(5), der.integer(4))).toEqual(
      fromHex("31 0a 02 01 04 02 01 05 02 02 01 2c"),
    );
  });

  test.each([
    ["2049-12-31T23:59:59Z", "17 0d 343931323331323335393539 5a"],
    ["2050-01-01T00:00:00Z", "18 0f 32303530303130313030303030305a"],
  ])("der.time(%s) changes type in 2050", (date, hex) => {
    expect(der.time(new Date(date))).toEqual(fromHex(hex));
    expect(reader(hex).time("time").toISOString()).toBe(date.replace("Z", ".000Z"));
  });

  test("openssl asn1parse reads a value of every type", () => {
    const value = der.sequence(
      der.integer(-129n),
      der.boolean(true),
      der.nullValue(),
      der.oid("1.2.840.113549.1.1.11"),
      der.octetString(fromHex("0102")),
      der.bitString(fromHex("80"), 7),
      der.utf8String("größe"),
      der.time(new Date("2024-01-01T00:00:00Z")),
      der.time(new Date("2054-01-01T00:00:00Z")),
      der.context(0, der.setOf(der.integer(1))),
      der.implicit(2, fromHex("00")),
    );
    const text = execFileSync("openssl", ["asn1parse", "-inform", "DER"], { input: value, encoding: "utf8" });
    for (const line of [":-81", "sha256WithRSAEncryption", ":größe", ":240101000000Z", ":20540101000000Z"]) {
      expect(text).toContain(line);
    }
  });
});

describe("DerReader refuses", () => {
  test.each<[string, string, (r: DerReader) => unknown]>([
    ["30 80 00 00", "der.length.indefinite", (r) => r.any("x")],
    ["04 81 7f", "der.length.not-minimal", (r) => r.any("x")],
    ["04 82 00 80", "der.length.not-minimal", (r) => r.any("x")],
    ["04 85 00 00 00 00 01", "der.length.too-large", (r) => r.any("x")],
    ["04 02 00", "der.truncated", (r) => r.any("x")],
    ["04", "der.truncated", (r) => r.any("x")],
    ["", "der.truncated", (r) => r.any("x")],
    ["1f 81 01 00", "der.tag.high-form", (r) => r.any("x")],
    ["31 00", "der.tag.unexpected", (r) => r.sequence("x")],
    ["24 03 04 01 00", "der.tag.unexpected", (r) => r.octetString("x")],
    ["02 00", "der.integer.empty", (r) => r.integer("x")],
    ["02 02 00 7f", "der.integer.not-minimal", (r) => r.integer("x")],
    ["02 02 ff 80", "der.integer.not-minimal", (r) => r.integer("x")],
    ["06 00", "der.oid.malformed", (r) => r.oid("x")],
    ["06 02 80 01", "der.oid.malformed", (r) => r.oid("x")],
    ["06 02 2a 86", "der.oid.malformed", (r) => r.oid("x")],
    ["06 0a 2a ff ff ff ff ff ff ff ff 7f", "der.oid.malformed", (r) => r.oid("x")],
    ["01 01 01", "der.boolean.malformed", (r) => r.boolean("x")],
    ["05 01 00", "der.null.malformed", (r) => r.null("x")],
    ["03 00", "der.bit-string.malformed", (r) => r.bitString("x")],
    ["03 01 01", "der.bit-string.malformed", (r) => r.bitString("x")],
    ["03 02 01 01", "der.bit-string.malformed", (r) => r.bitString("x")],
    ["03 02 08 00", "der.bit-string.malformed", (r) => r.bitString("x")],
    ["17 0b 32343031303130303030 5a", "der.time.malformed", (r) => r.time("x")],
    ["17 0d 323430323330303030303030 5a", "der.time.malformed", (r) => r.time("x")],
    ["0c 01 ff", "der.string.malformed", (r) => r.string("x")],
    ["1e 01 00", "der.string.malformed", (r) => r.string("x")],
    ["13 01 00", "der.string.malformed", (r) => r.string("x")],
    ["16 01 80", "der.string.malformed", (r) => r.string("x")],
    ["04 00", "der.tag.unexpected", (r) => r.string("x")],
    ["04 00", "der.trailing", (r) => r.end()],
  ])("%s with %s", (hex, code, read) => {
    expect(codeOf(() => read(reader(hex)))).toBe(code);
  });

  test("nesting deeper than its limit", () => {
    const dig = (r: DerReader): unknown => (r.done ? r : dig(r.sequence("x")));
    const nested = (depth: number): Uint8Array => (depth === 0 ? new Uint8Array() : der.sequence(nested(depth - 1)));
    expect(codeOf(() => dig(new DerReader(nested(32), "x")))).toBe("accepted");
    expect(codeOf(() => dig(new DerReader(nested(33), "x")))).toBe("der.depth");
  });
});

test("DerReader names the place of a refusal from the start of the outermost value", () => {
  const top = readOnly(fromHex("30 07 02 01 01 30 02 05 01"), TAG.SEQUENCE, "outer");
  top.integer("version");
  const inner = top.sequence("inner");
  expect(() => inner.null("parameters")).toThrow("outer: inner: parameters at byte 7");
});

describe("for any value", () => {
  test("integer() gives back what der.integer() wrote", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 600n), max: 2n ** 600n }), (value) => {
        expect(new DerReader(der.integer(value), "x").integer("x")).toBe(value);
      }),
    );
  });

  test("time() gives back what der.time() wrote", () => {
    const range = { min: new Date("1950-01-01"), max: new Date("9999-12-31"), noInvalidDate: true };
    fc.assert(
      fc.property(fc.date(range), (date) => {
        const whole = Math.floor(date.getTime() / 1000) * 1000;
        expect(new DerReader(der.time(date), "x").time("x").getTime()).toBe(whole);
      }),
    );
  });

  test("any bytes give a value or a FormatError, and what is accepted encodes to the same bytes", () => {
    const walk = (r: DerReader): Uint8Array[] => {
      const parts: Uint8Array[] = [];
      while (!r.done) {
        const value = r.any("x");
        parts.push(
          (value.tag & 0x20) === 0
            ? der.tagged(value.tag, value.content)
            : der.tagged(value.tag, ...walk(r.into(value, "x"))),
        );
      }
      return parts;
    };
    const any = fc
      .uint8Array({ maxLength: 60 })
      .map((bytes) => bytes.map((byte) => (byte % 3 === 0 ? byte % 8 : byte)));
    fc.assert(
      fc.property(any, (bytes) => {
        const code = codeOf(() => expect(Buffer.concat(walk(new DerReader(bytes, "x")))).toEqual(Buffer.from(bytes)));
        expect(code).toMatch(/^(accepted|der\..*)$/);
      }),
      { numRuns: 2000 },
    );
  });
});
