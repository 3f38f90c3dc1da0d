import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { FormatError } from "../../lib/errors.ts";
import { toBlobDigest } from "../oci/index.ts";
import { encodeBundle, encodeSimpleSigning, keyHint, parseBundle, parseSimpleSigning } from "./index.ts";

const signing = { manifestDigest: toBlobDigest(Buffer.from("manifest")), reference: "registry.example/os" };
const envelope = { payloadType: "t", payload: Buffer.from("p"), signatures: [{ signature: Buffer.from("s") }] };

test("parseSimpleSigning() gives back what encodeSimpleSigning() wrote", () => {
  expect(parseSimpleSigning(encodeSimpleSigning(signing))).toEqual(signing);
});

test.each([
  [
    "another type",
    {
      critical: {
        identity: { "docker-reference": "" },
        image: { "docker-manifest-digest": signing.manifestDigest },
        type: "atomic container signature",
      },
    },
    "sigstore.payload.malformed",
  ],
  [
    "no digest",
    {
      critical: {
        identity: { "docker-reference": "" },
        image: { "docker-manifest-digest": "sha256:12" },
        type: "cosign container image signature",
      },
    },
    "oci.digest.malformed",
  ],
  ["nothing critical", { optional: {} }, "sigstore.payload.malformed"],
])("parseSimpleSigning() refuses %s", (_, value, code) => {
  expect(codeOf(() => parseSimpleSigning(Buffer.from(JSON.stringify(value))))).toBe(code);
});

test("parseBundle() gives back what encodeBundle() wrote", () => {
  expect(parseBundle(encodeBundle({ envelope, keyHint: "hint" }))).toEqual({ envelope, keyHint: "hint" });
  expect(parseBundle(encodeBundle({ envelope }))).toEqual({ envelope });
});

test.each([
  ["another version", "application/vnd.dev.sigstore.bundle.v9+json"],
  ["another type", "application/json"],
])("parseBundle() refuses %s", (_, mediaType) => {
  const bundle = JSON.parse(Buffer.from(encodeBundle({ envelope })).toString()) as object;
  const bytes = Buffer.from(JSON.stringify({ ...bundle, mediaType }));
  expect(codeOf(() => parseBundle(bytes))).toBe("sigstore.bundle.malformed");
});

test("keyHint() is the SHA-256 of the key in base64", () => {
  expect(keyHint(new Uint8Array())).toBe("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
});

test.each([
  ["parseBundle", parseBundle, encodeBundle({ envelope })],
  ["parseSimpleSigning", parseSimpleSigning, encodeSimpleSigning(signing)],
])("%s() answers changed bytes with a value or a FormatError", (_, parse, bytes) => {
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      const changed = Uint8Array.from(bytes);
      changed[at] = value;
      try {
        parse(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 500 },
  );
});
