import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, sign, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { der } from "../der/index.ts";
import {
  buildCertificate,
  type Certificate,
  encodeEcdsaSignature,
  encodeEcPublicKey,
  encodePem,
  encodeRsaPublicKey,
  isIssuedBy,
  isSelfSigned,
  isSignedWith,
  KEY_USAGE,
  parseCertificate,
  parsePem,
  parsePublicKey,
  showKey,
} from "./index.ts";

const file = (name: string): Buffer => readFileSync(vector(`secureboot/keys/${name}`));
const certificate = (name: string) => parseCertificate(file(`${name}.crt`), name);
const spki = (name: string): Uint8Array =>
  createPublicKey(createPrivateKey(file(`${name}.key`))).export({ format: "der", type: "spki" });
const signWith = (name: string) => async (message: Uint8Array) =>
  sign("sha256", message, createPrivateKey(file(`${name}.key`)));
const time = (text: string): Date => new Date(`${text}T00:00:00Z`);

function opensslVerify(root: Certificate, leaf: Certificate): string {
  const directory = mkdtempSync(join(tmpdir(), "sealwright-x509-"));
  try {
    writeFileSync(join(directory, "root.pem"), encodePem("CERTIFICATE", root.der));
    writeFileSync(join(directory, "leaf.pem"), encodePem("CERTIFICATE", leaf.der));
    const flags = ["-x509_strict", "-check_ss_sig", "-CAfile", "root.pem", "leaf.pem"];
    return execFileSync("openssl", ["verify", ...flags], { cwd: directory, encoding: "utf8" });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function replaceModulus(bits: number): Uint8Array {
  const { version: _, ...c } = certificate("test-db");
  const key = der.sequence(der.integer((1n << BigInt(bits - 1)) + 1n), der.integer(65_537));
  const algorithm = der.sequence(der.oid("1.2.840.113549.1.1.1"), der.nullValue());
  const signature = der.sequence(der.oid(c.signatureAlgorithm), der.nullValue());
  const validity = der.sequence(der.time(c.notBefore), der.time(c.notAfter));
  const info = der.sequence(algorithm, der.bitString(key));
  const tbs = der.sequence(c.serialDer, signature, c.issuerDer, validity, c.subjectDer, info);
  return der.sequence(tbs, signature, der.bitString(Uint8Array.of(1)));
}

const names = ["test-PK", "test-db", "test-db-p256", "test-db-p384", "test-db-rsa3072", "test-CA", "test-leaf"];

test.each(names)("parseCertificate() reads %s as node:crypto does", (name) => {
  const ours = certificate(name);
  const theirs = new X509Certificate(file(`${name}.crt`));
  expect(toHex(ours.der)).toBe(theirs.raw.toString("hex"));
  expect(toHex(ours.fingerprint)).toBe(theirs.fingerprint256.replaceAll(":", "").toLowerCase());
  expect(ours.subject).toBe(theirs.subject);
  expect(ours.issuer).toBe(theirs.issuer);
  expect(ours.serial.toUpperCase()).toBe(theirs.serialNumber);
  expect(ours.notBefore).toEqual(theirs.validFromDate);
  expect(ours.notAfter).toEqual(theirs.validToDate);
  expect(ours.extensions.ca).toBe(theirs.ca);
  expect(toHex(ours.publicKey.spki)).toBe(theirs.publicKey.export({ format: "der", type: "spki" }).toString("hex"));
});

test.each([
  ["test-db", "RSA-2048"],
  ["test-db-rsa3072", "RSA-3072"],
  ["test-db-p256", "P-256"],
  ["test-db-p384", "P-384"],
])("showKey() of %s is %s", (name, shown) => {
  expect(showKey(certificate(name).publicKey.facts)).toBe(shown);
});

test("parseCertificate() reads PEM and DER to the same bytes", () => {
  expect(parseCertificate(file("test-db.cer")).der).toEqual(certificate("test-db").der);
  expect(encodePem("CERTIFICATE", file("test-db.cer"))).toBe(file("test-db.crt").toString());
});

test("parseCertificate() reads every authority of Debian's ca-certificates", () => {
  const blocks = parsePem(readFileSync("/etc/ssl/certs/ca-certificates.crt"), "bundle");
  expect(blocks.length).toBeGreaterThan(100);
  for (const { bytes } of blocks) {
    const ours = parseCertificate(bytes);
    const theirs = new X509Certificate(bytes);
    expect(ours.notAfter).toEqual(theirs.validToDate);
    expect(toHex(ours.publicKey.spki)).toBe(theirs.publicKey.export({ format: "der", type: "spki" }).toString("hex"));
  }
});

describe("chains", () => {
  test.each<[string, string, boolean]>([
    ["test-leaf", "test-CA", true],
    ["test-CA", "test-CA", true],
    ["test-leaf", "test-leaf", false],
    ["test-db", "test-CA", false],
    ["test-db", "test-db", false], // CA:FALSE signs no certificates, not even its own
  ])("isIssuedBy(%s, %s) is %s", (child, issuer, expected) => {
    expect(isIssuedBy(certificate(child), certificate(issuer))).toBe(expected);
  });

  test("isSelfSigned() tells a root from a leaf", () => {
    expect(names.filter((name) => !isSelfSigned(certificate(name)))).toEqual(["test-leaf"]);
  });
});

describe("buildCertificate()", () => {
  test.each([
    ["signature", "test-db", "critical,CA:FALSE", "critical,digitalSignature"],
    ["authority", "test-PK", "critical,CA:TRUE", "critical,digitalSignature,keyCertSign,cRLSign"],
    ["signature", "test-db-p256", "critical,CA:FALSE", "critical,digitalSignature"],
  ] as const)("for a %s key writes what openssl req -x509 writes for %s", async (use, key, constraints, usage) => {
    const options = ["-key", vector(`secureboot/keys/${key}.key`), "-sha256", "-days", "12000", "-utf8"];
    const subject = ["-subj", "/C=DE/O=Größe/OU=OS/CN=key", "-multivalue-rdn"];
    const identifiers = ["subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid:always"].flatMap((one) => [
      "-addext",
      one,
    ]);
    const constraint = [...identifiers, "-addext", `basicConstraints=${constraints}`, "-addext", `keyUsage=${usage}`];
    const theirs = parseCertificate(
      execFileSync("openssl", ["req", "-x509", "-new", "-config", "/dev/null", ...options, ...subject, ...constraint]),
    );
    const ours = await buildCertificate(
      {
        subject: { country: "DE", organization: "Größe", organizationalUnit: "OS", commonName: "key" },
        serial: BigInt(`0x${theirs.serial}`),
        notBefore: theirs.notBefore,
        notAfter: theirs.notAfter,
        publicKey: spki(key),
        use,
      },
      signWith(key),
    );
    expect(toHex(ours.tbs)).toBe(toHex(theirs.tbs));
    if (!key.endsWith("p256")) expect(toHex(ours.der)).toBe(toHex(theirs.der)); // ECDSA is randomised
  });

  test("openssl verifies an authority, and a certificate that it issued to an elliptic curve key", async () => {
    const validity = { notBefore: time("2020-01-01"), notAfter: time("2060-01-01") };
    const subject = { country: "DE", organization: 'Größe, "GmbH"', organizationalUnit: "OS", commonName: "root" };
    const root = await buildCertificate(
      { ...validity, subject, serial: 1n, publicKey: spki("test-PK"), use: "authority" },
      signWith("test-PK"),
    );
    const leaf = await buildCertificate(
      {
        ...validity,
        subject: { commonName: "leaf" },
        serial: (1n << 159n) - 1n,
        publicKey: spki("test-db-p256"),
        use: "signature",
        issuer: root,
      },
      signWith("test-PK"),
    );
    expect(root.subject).toBe(String.raw`CN=root,OU=OS,O=Größe\, \"GmbH\",C=DE`);
    expect([...(root.extensions.keyUsage ?? [])]).toEqual([
      KEY_USAGE.digitalSignature,
      KEY_USAGE.keyCertSign,
      KEY_USAGE.cRLSign,
    ]);
    expect(isIssuedBy(leaf, root)).toBe(true);
    expect(opensslVerify(root, leaf)).toContain("leaf.pem: OK");
  });

  test("openssl verifies one signed with an elliptic curve key", async () => {
    const built = await buildCertificate(
      {
        subject: { commonName: "curve" },
        serial: 7n,
        notBefore: time("2020-01-01"),
        notAfter: time("2060-01-01"),
        publicKey: spki("test-db-p384"),
        use: "authority",
      },
      signWith("test-db-p384"),
    );
    expect(isSelfSigned(built)).toBe(true);
    expect(opensslVerify(built, built)).toContain("leaf.pem: OK");
  });

  test.each([0n, -1n, 1n << 159n])("refuses serial number %s", async (serial) => {
    const request = { subject: { commonName: "x" }, notBefore: time("2020-01-01"), notAfter: time("2021-01-01") };
    const build = buildCertificate(
      { ...request, serial, publicKey: spki("test-PK"), use: "signature" },
      signWith("test-PK"),
    );
    await expect(build).rejects.toThrow(RangeError);
  });
});

describe("parseCertificate() refuses", () => {
  const edit = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(file("test-db.cer"));
    change(bytes);
    return bytes;
  };

  test.each<[string, string, Uint8Array]>([
    ["a PEM file without a certificate", "x509.pem.count", file("test-db.key")],
    ["a bundle", "x509.pem.count", Buffer.concat([file("test-db.crt"), file("test-PK.crt")])],
    [
      "base64 with a stray end",
      "pem.base64",
      Buffer.from("-----BEGIN CERTIFICATE-----\nAAA=A\n-----END CERTIFICATE-----\n"),
    ],
    ["a file of 2 MiB", "pem.too-large", Buffer.alloc(2 << 20)],
    ["bytes behind the certificate", "der.trailing", Buffer.concat([file("test-db.cer"), Buffer.of(0)])],
    ["version 4", "x509.version", edit((bytes) => bytes.writeUInt8(3, 12))],
    ["two signature algorithms", "x509.signature-algorithm.mismatch", edit((bytes) => bytes.writeUInt8(0x0c, 29))],
    ["an extension twice", "x509.extension.repeated", edit((bytes) => bytes.writeUInt8(0x23, 410))],
    ["an even RSA exponent", "x509.key.rsa-exponent", edit((bytes) => bytes.writeUInt8(0, 399))],
    ["an RSA modulus of 300 bits", "x509.key.rsa-size", replaceModulus(300)],
    ["an RSA modulus of 20000 bits", "x509.key.rsa-size", replaceModulus(20_000)],
  ])("%s", (_, code, bytes) => {
    expect(codeOf(() => parseCertificate(bytes))).toBe(code);
  });

  test("no mutated bytes with anything but a FormatError", () => {
    const good = file("test-leaf.crt");
    const bytes = parseCertificate(good).der;
    const change = fc.record({ at: fc.nat(bytes.length - 1), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), fc.nat(bytes.length), (changes, cut) => {
        const mutated = Uint8Array.from(cut % 4 === 0 ? bytes.subarray(0, cut) : bytes);
        for (const { at, value } of changes) mutated[at] = value;
        expect(codeOf(() => parseCertificate(mutated))).toMatch(/^(accepted|der\..*|x509\..*)$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("pieces become DER", () => {
  const jwk = (name: string) => createPublicKey(createPrivateKey(file(`${name}.key`))).export({ format: "jwk" });
  const bytes = (text = ""): Buffer => Buffer.from(text, "base64url");

  test.each(["test-db", "test-db-rsa4096"])("encodeRsaPublicKey() of %s", (name) => {
    const { e, n } = jwk(name);
    expect(Buffer.compare(encodeRsaPublicKey(bytes(n), bytes(e)), spki(name))).toBe(0);
    const padded = Buffer.concat([Uint8Array.of(0), bytes(n)]);
    expect(Buffer.compare(encodeRsaPublicKey(padded, bytes(e)), spki(name))).toBe(0);
  });

  test("encodeEcPublicKey()", () => {
    const { x, y } = jwk("test-db-p256");
    const point = Buffer.concat([Uint8Array.of(4), bytes(x), bytes(y)]);
    expect(Buffer.compare(encodeEcPublicKey(der.oid("1.2.840.10045.3.1.7"), point), spki("test-db-p256"))).toBe(0);
  });

  test("encodeEcdsaSignature() verifies like the one in pieces", () => {
    const message = Buffer.from("message");
    const key = createPrivateKey(file("test-db-p256.key"));
    for (let time = 0; time < 20; time++) {
      const raw = sign("sha256", message, { key, dsaEncoding: "ieee-p1363" });
      const encoded = encodeEcdsaSignature(raw);
      expect(isSignedWith(parsePublicKey(spki("test-db-p256")), "sha256", message, encoded)).toBe(true);
    }
    expect(codeOf(() => encodeEcdsaSignature(new Uint8Array(3)))).toBe("x509.ecdsa-signature");
  });
});
