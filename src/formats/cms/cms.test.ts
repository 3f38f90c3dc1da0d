import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { der } from "../der/index.ts";
import { buildCertificate, type Certificate, type CertificateRequest, parseCertificate } from "../x509/index.ts";
import {
  ATTRIBUTE,
  encodeAttribute,
  encodeSignedData,
  findChain,
  OID_DATA,
  parseSignedData,
  signDetached,
  verifySigner,
  wrapSignedData,
} from "./index.ts";

const keyPath = (name: string): string => vector(`secureboot/keys/test-${name}.key`);
const certificate = (name: string) => parseCertificate(readFileSync(vector(`secureboot/keys/test-${name}.crt`)), name);
const signWith = (name: string) => async (message: Uint8Array) =>
  sign("sha256", message, createPrivateKey(readFileSync(keyPath(name))));
const data = Buffer.from("what is signed");
const directory = mkdtempSync(join(tmpdir(), "sealwright-cms-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** What `openssl cms -sign` makes of `data`. */
function opensslSign(name: string, ...options: string[]): Uint8Array {
  const keys = ["-signer", vector(`secureboot/keys/test-${name}.crt`), "-inkey", keyPath(name)];
  return execFileSync("openssl", ["cms", "-sign", "-binary", "-outform", "DER", "-nosmimecap", ...keys, ...options], {
    input: data,
  });
}

describe("openssl", () => {
  test("verifies what signDetached() wrote", async () => {
    const signed = wrapSignedData(await signDetached(data, certificate("db"), signWith("db")));
    writeFileSync(join(directory, "signed.der"), signed);
    writeFileSync(join(directory, "data"), data);
    const files = ["-in", "signed.der", "-content", "data", "-CAfile", vector("secureboot/keys/test-db.crt")];
    execFileSync("openssl", ["cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", ...files], {
      cwd: directory,
      stdio: "pipe",
    });
  });

  test("writes the bytes of signDetached() as PKCS #7 without attributes", async () => {
    const ours = wrapSignedData(await signDetached(data, certificate("db"), signWith("db")));
    const keys = ["-signer", vector("secureboot/keys/test-db.crt"), "-inkey", keyPath("db")];
    const options = ["-sign", "-binary", "-noattr", "-md", "sha256", "-outform", "DER"];
    expect(toHex(execFileSync("openssl", ["smime", ...options, ...keys], { input: data }))).toBe(toHex(ours));
  });

  test.each([
    ["db", ["-md", "sha256"]],
    ["db", ["-md", "sha384"]],
    ["db", ["-md", "sha512", "-noattr"]],
    ["db-p256", ["-md", "sha256"]],
    ["db-p384", ["-md", "sha384"]],
  ])("signatures of %s with %j verify", (name, options) => {
    const signed = parseSignedData(opensslSign(name, ...options));
    expect(signed).toMatchObject({ wrapped: true, contentType: OID_DATA, content: undefined });
    expect(verifySigner(signed, data).subject).toBe(certificate(name).subject);
    expect(codeOf(() => verifySigner(signed, Buffer.from("something else")))).toMatch(
      /digest-mismatch|signature.invalid/,
    );
  });
});

describe("parseSignedData() refuses", () => {
  test.each<[string, string, () => Uint8Array]>([
    [
      "two signers",
      "cms.signers.count",
      () => opensslSign("db", "-signer", vector("secureboot/keys/test-db2.crt"), "-inkey", keyPath("db2")),
    ],
    ["a key identifier in place of issuer and serial", "cms.version", () => opensslSign("db", "-keyid")],
    ["SHA-1", "cms.digest-algorithm.unsupported", () => opensslSign("db", "-md", "sha1")],
    ["RSA-PSS", "der.tag.unexpected", () => opensslSign("db", "-keyopt", "rsa_padding_mode:pss")],
    [
      "encrypted data",
      "cms.content-type.unexpected",
      () => der.sequence(der.oid("1.2.840.113549.1.7.3"), der.context(0, der.sequence())),
    ],
    ["no signer", "cms.signers.count", () => bare(der.setOf())],
    [
      "17 certificates",
      "cms.too-many",
      () =>
        bare(
          der.setOf(),
          Array.from({ length: 17 }, () => certificate("db")),
        ),
    ],
  ])("%s", (_, code, make) => {
    expect(codeOf(() => parseSignedData(make()))).toBe(code);
  });

  test("an attribute that stands twice", async () => {
    const time = encodeAttribute(ATTRIBUTE.signingTime, der.time(new Date(0)));
    expect(codeOf(() => parseSignedData(withAttributes(time, time)))).toBe("cms.attribute.repeated");
  });
});

function bare(signers: Uint8Array, certificates: readonly Certificate[] = []): Uint8Array {
  const content = der.sequence(der.oid(OID_DATA));
  return der.sequence(
    der.integer(1),
    der.setOf(),
    content,
    der.context(0, ...certificates.map((one) => one.der)),
    signers,
  );
}

/** Signed by nobody in particular: what is tested stands before the signature. */
function withAttributes(...attributes: Uint8Array[]): Uint8Array {
  const signedAttributes = der.setOf(...attributes);
  const signature = sign("sha256", signedAttributes, createPrivateKey(readFileSync(keyPath("db"))));
  return encodeSignedData({ contentType: OID_DATA, certificate: certificate("db"), signedAttributes, signature });
}

describe("verifySigner() refuses", () => {
  const contentType = encodeAttribute(ATTRIBUTE.contentType, der.oid(OID_DATA));
  const digest = encodeAttribute(
    ATTRIBUTE.messageDigest,
    der.octetString(Buffer.from("f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2", "hex")),
  );
  const otherType = encodeAttribute(ATTRIBUTE.contentType, der.oid("1.3.6.1.4.1.311.2.1.4"));
  const content = Buffer.from("test\n"); // whose SHA-256 is above

  test.each([
    ["nothing, when both attributes fit", "accepted", [contentType, digest]],
    ["attributes without a digest", "cms.attributes.incomplete", [contentType]],
    ["attributes without a content type", "cms.attributes.incomplete", [digest]],
    ["the content type of something else", "cms.content.digest-mismatch", [otherType, digest]],
  ])("%s", (_, code, attributes) => {
    expect(codeOf(() => verifySigner(parseSignedData(withAttributes(...attributes)), content))).toBe(code);
  });

  test("a signer whose certificate is not there", () => {
    const signed = { ...parseSignedData(withAttributes(contentType, digest)), certificates: [certificate("db2")] };
    expect(codeOf(() => verifySigner(signed, content))).toBe("cms.signer.absent");
  });

  test("an algorithm that was not announced", () => {
    const signed = { ...parseSignedData(withAttributes(contentType, digest)), digestAlgorithms: ["sha512" as const] };
    expect(codeOf(() => verifySigner(signed, content))).toBe("cms.signature.invalid");
  });
});

const spki = (name: string): Uint8Array =>
  createPublicKey(createPrivateKey(readFileSync(keyPath(name)))).export({ format: "der", type: "spki" });
const names = (chain: Certificate[] | undefined) => chain?.map(({ subject }) => subject);

const build = (name: string, use: CertificateRequest["use"], issuer?: { name: string; certificate: Certificate }) =>
  buildCertificate(
    {
      subject: { commonName: name },
      serial: 9n,
      notBefore: new Date("2010-01-01"),
      notAfter: new Date("2011-01-01"),
      publicKey: spki(name),
      use,
      ...(issuer === undefined ? {} : { issuer: issuer.certificate }),
    },
    signWith(issuer?.name ?? name),
  );

describe("findChain()", () => {
  test("leads over embedded authorities to a root, an intermediate or the signer, whatever their dates", async () => {
    const root = await build("PK", "authority");
    const middle = await build("KEK", "authority", { name: "PK", certificate: root });
    const leaf = await build("db", "signature", { name: "KEK", certificate: middle });
    expect(names(findChain(leaf, [leaf, middle], [root]))).toEqual(["CN=db", "CN=KEK", "CN=PK"]);
    expect(names(findChain(leaf, [leaf], [middle]))).toEqual(["CN=db", "CN=KEK"]);
    expect(names(findChain(leaf, [leaf, middle], [leaf]))).toEqual(["CN=db"]);
    expect(findChain(leaf, [leaf], [root])).toBeUndefined();
    expect(findChain(leaf, [leaf, middle, root], [])).toBeUndefined();
  });

  test("finds the way past an authority of the same name and key that leads nowhere", async () => {
    const root = await build("PK", "authority");
    const crossed = await build("KEK", "authority", { name: "CA", certificate: certificate("CA") });
    const middle = await build("KEK", "authority", { name: "PK", certificate: root });
    const leaf = await build("db", "signature", { name: "KEK", certificate: middle });
    expect(names(findChain(leaf, [leaf, crossed, middle], [root]))).toEqual(["CN=db", "CN=KEK", "CN=PK"]);
  });

  test("does not lead over a certificate that may not sign others", async () => {
    const root = await build("PK", "signature");
    const leaf = await build("db", "signature", { name: "PK", certificate: root });
    expect(findChain(leaf, [leaf], [root])).toBeUndefined();
  });

  test("heeds path lengths and critical extensions that it does not know", async () => {
    const root = await build("PK", "authority");
    const middle = await build("KEK", "authority", { name: "PK", certificate: root });
    const leaf = await build("db", "signature", { name: "KEK", certificate: middle });
    const limited = { ...root, extensions: { ...root.extensions, pathLength: 0 } };
    expect(findChain(leaf, [leaf, middle], [limited])).toBeUndefined();
    expect(findChain(middle, [middle], [limited])).toBeDefined();
    const strange = { ...middle, extensions: { ...middle.extensions, unknownCritical: ["1.2.3"] } };
    expect(findChain(leaf, [leaf, strange], [root])).toBeUndefined();
  });
});

test("parseSignedData() answers changed bytes with a value or an error of ours", () => {
  const good = opensslSign("db");
  const change = fc.record({ at: fc.nat(good.length - 1), value: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      const bytes = Uint8Array.from(good);
      for (const { at, value } of changes) bytes[at] = value;
      expect(codeOf(() => verifySigner(parseSignedData(bytes), data))).toMatch(/^(accepted|(der|cms|x509)\..*)$/);
    }),
    { numRuns: 1500 },
  );
});
