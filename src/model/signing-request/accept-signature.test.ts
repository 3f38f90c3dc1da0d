import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { sharedFixture } from "../../../test/fixtures.ts";
import { parseCertificate } from "../../formats/x509/index.ts";
import { type BroughtSignature, completePe, requireMessageFor, signatureOf } from "./index.ts";

const fixture = (name: string) => readFile(sharedFixture(`secureboot/${name}`));
const certificateOf = async (name: string) => parseCertificate(await fixture(`keys/${name}.crt`), name);

const unsigned = await fixture("pe/addon.unsigned.efi");
const message = await fixture("pe/addon.tbs.der");
const certificate = await certificateOf("test-db");

const brought = (kind: BroughtSignature["kind"], bytes: Uint8Array): BroughtSignature => ({
  kind,
  file: "signature",
  bytes,
});
const complete = (from: BroughtSignature, by = certificate) => completePe(unsigned, by, message, from);

test("completePe() gives the bytes of systemd-sbsign, from its offline mode and from its output", async () => {
  const expected = await fixture("pe/addon.systemd-sbsign.efi");
  expect(Buffer.from(complete(brought("raw", await fixture("pe/addon.tbs.sig"))))).toEqual(expected);
  expect(Buffer.from(complete(brought("pe", expected)))).toEqual(expected);
  expect(Buffer.from(complete(brought("pkcs7", signatureOf(expected, certificate))))).toEqual(expected);
});

test.each([
  ["pkcs7", "pe/addon.sbsign.p7.der"],
  ["pe", "pe/addon.sbsign.efi"],
  ["pe", "pe/addon.osslsigncode.efi"],
  ["pe", "pe/addon.two-sbsign.efi"],
  ["pe", "pe/addon.two-systemd-sbsign.efi"],
] as const)("completePe() takes a %s of other tools: %s", async (kind, name) => {
  const signed = complete(brought(kind, await fixture(name)));
  expect(signatureOf(signed, certificate).length).toBeGreaterThan(256);
});

test.each<[string, () => Promise<BroughtSignature>, string]>([
  ["a file that is no PE", async () => brought("pe", Buffer.from("x".repeat(1000))), "signing-request.signature-wrong"],
  ["a file without signature", async () => brought("pe", unsigned), "signing-request.signature-wrong"],
  [
    "bytes that are no PKCS #7",
    async () => brought("pkcs7", Buffer.from("nonsense")),
    "signing-request.signature-wrong",
  ],
  ["nothing", async () => brought("raw", new Uint8Array()), "signing-request.signature-wrong"],
  [
    "a signature over the file with a tail",
    async () => brought("pe", await fixture("pe/addon.tail3.sbsign.efi")),
    "signing-request.signature-other-file",
  ],
])("completePe() refuses %s", async (_, from, code) => {
  const signature = await from();
  expect(codeOf(() => complete(signature))).toBe(code);
});

test("completePe() refuses a signature of another certificate, and one certificate's signature is none of another's", async () => {
  const other = await certificateOf("test-db2");
  const two = await fixture("pe/addon.two-systemd-sbsign.efi");
  const one = await fixture("pe/addon.systemd-sbsign.efi");
  expect(codeOf(() => complete(brought("pe", one), other))).toBe("signing-request.signature-other-certificate");
  expect(signatureOf(two, other)).not.toEqual(signatureOf(two, certificate));
});

test("requireMessageFor() takes the attributes that systemd-sbsign prepares, and nothing else", async () => {
  requireMessageFor(unsigned, message, "addon");
  const code = (bytes: Uint8Array, pe: Uint8Array = unsigned) => codeOf(() => requireMessageFor(pe, bytes, "addon"));
  expect(code(Buffer.from("pay 100 to mallory"))).toBe("signing-request.to-be-signed");
  expect(code(Buffer.concat([message, Buffer.from([0])]))).toBe("signing-request.to-be-signed");
  expect(code(new Uint8Array())).toBe("signing-request.to-be-signed");
  expect(code(message, await fixture("pe/addon.tail3.unsigned.efi"))).toBe("signing-request.to-be-signed");
});
