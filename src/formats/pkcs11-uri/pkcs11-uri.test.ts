import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../lib/errors.ts";
import { encodePkcs11Uri, OBJECT_TYPES, type Pkcs11Uri, parsePkcs11Uri } from "./index.ts";

function refusal(text: string): string {
  try {
    parsePkcs11Uri(text);
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
  return "accepted";
}

describe("parsePkcs11Uri() reads", () => {
  test.each<[string, Pkcs11Uri]>([
    ["pkcs11:", {}],
    ["PKCS11:token=a", { token: "a" }],
    // The shapes of the examples in RFC 7512 §3.
    [
      "pkcs11:object=my-pubkey;type=public?pin-source=file:/etc/token",
      { object: "my-pubkey", type: "public", pinSource: "file:/etc/token" },
    ],
    [
      "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=c;type=cert;id=%69%95%3E%5C%F4%BD%EC%91",
      {
        token: "Software PKCS#11 softtoken",
        manufacturer: "Snake Oil, Inc.",
        model: "1.0",
        object: "c",
        type: "cert",
        id: Buffer.from("69953e5cf4bdec91", "hex"),
      },
    ],
    [
      "pkcs11:token=t?module-name=opensc&module-path=/usr/lib/a.so&vendor=x",
      { token: "t", moduleName: "opensc", modulePath: "/usr/lib/a.so" },
    ],
    ["pkcs11:slot-id=1853;library-version=2.6", { slotId: 1853, libraryVersion: "2.6" }],
    ["pkcs11:object=a=b&c?pin-value=x/y?z", { object: "a=b&c", pinValue: "x/y?z" }],
    ["pkcs11:id=ab%00", { id: Buffer.from("616200", "hex") }],
    ["pkcs11:object=%C5%A1ifra", { object: "šifra" }],
    ["pkcs11:?pin-source=%7C/bin/pin", { pinSource: "|/bin/pin" }],
  ])("%s", (text, expected) => {
    const uri = parsePkcs11Uri(text);
    expect({ ...uri, id: uri.id && Buffer.from(uri.id) }).toEqual({ ...expected, id: expected.id });
  });
});

test.each([
  ["pkcs11-uri.scheme", "pkcs12:token=a"],
  ["pkcs11-uri.length", `pkcs11:token=${"a".repeat(5000)}`],
  ["pkcs11-uri.attribute", "pkcs11:token"],
  ["pkcs11-uri.attribute", "pkcs11:token=a;"],
  ["pkcs11-uri.attribute", "pkcs11:=a"],
  ["pkcs11-uri.attribute", "pkcs11:token=a?pin value=1"],
  ["pkcs11-uri.unknown", "pkcs11:tokn=a"],
  ["pkcs11-uri.unknown", "pkcs11:pin-value=a"],
  ["pkcs11-uri.repeated", "pkcs11:token=a;token=b"],
  ["pkcs11-uri.repeated", "pkcs11:?pin-value=a&pin-value=b"],
  ["pkcs11-uri.character", "pkcs11:token=My Token"],
  ["pkcs11-uri.character", "pkcs11:token=a/b"],
  ["pkcs11-uri.character", "pkcs11:token=%4"],
  ["pkcs11-uri.character", "pkcs11:token=š"],
  ["pkcs11-uri.utf-8", "pkcs11:token=%FF"],
  ["pkcs11-uri.value", "pkcs11:type=key"],
  ["pkcs11-uri.value", "pkcs11:slot-id=x"],
  ["pkcs11-uri.value", "pkcs11:library-version=2.x"],
])("parsePkcs11Uri() refuses with %s: %s", (code, text) => {
  expect(refusal(text)).toBe(code);
});

test.each(["pkcs11:?pin-value=12 secret", "pkcs11:?pin-value=secret%FF", "pkcs11:?pin-value=1&pin-value=secret"])(
  "a refusal holds no value, which may be a PIN: %s",
  (uri) => {
    let refused: unknown;
    try {
      parsePkcs11Uri(uri);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(FormatError);
    expect(inspect(refused, { depth: 9 })).not.toContain("secret");
  },
);

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const uris = fc.record(
  {
    token: text,
    manufacturer: text,
    model: text,
    serial: text,
    object: text,
    id: fc.uint8Array({ maxLength: 20 }),
    type: fc.constantFrom(...OBJECT_TYPES),
    slotId: fc.nat(),
    slotDescription: text,
    libraryVersion: fc.constantFrom("2", "2.40"),
    pinSource: text,
    pinValue: text,
    moduleName: text,
    modulePath: text,
  },
  { requiredKeys: [] },
);

test("parsePkcs11Uri() gives back what encodePkcs11Uri() was given", () => {
  fc.assert(
    fc.property(uris, (uri) => {
      const read = parsePkcs11Uri(encodePkcs11Uri(uri));
      expect({ ...read, ...(read.id && { id: Uint8Array.from(read.id) }) }).toEqual(uri);
    }),
  );
});

test("parsePkcs11Uri() answers any change of a URI with a value or a FormatError", () => {
  fc.assert(
    fc.property(uris, fc.nat(), fc.string({ maxLength: 4 }), fc.nat({ max: 3 }), (uri, at, inserted, cut) => {
      const whole = encodePkcs11Uri(uri);
      const place = at % (whole.length + 1);
      refusal(whole.slice(0, place) + inserted + whole.slice(place + cut));
    }),
    { numRuns: 1000 },
  );
});
