import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, sign } from "node:crypto";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { sharedFixture, vector } from "../../../test/fixtures.ts";
import { OSSLSIGNCODE } from "../../../test/tools/osslsigncode.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { parseSignatureLists } from "../esl/index.ts";
import { parsePe, replaceCertificates } from "../pe/index.ts";
import { parseCertificate } from "../x509/index.ts";
import {
  attachSignature,
  authenticodeRanges,
  computeAuthenticodeDigest,
  listSignatures,
  prepareSignature,
  removeSignatures,
  signPe,
  verifyPe,
} from "./index.ts";

const pe = (name: string): Buffer => readFileSync(sharedFixture(`secureboot/pe/${name}`));
const uki = (name: string): Buffer => readFileSync(sharedFixture(`secureboot/uki/${name}`));
const certificate = (name: string) => parseCertificate(readFileSync(vector(`secureboot/keys/test-${name}.crt`)), name);
const signer = (name: string) => ({
  certificate: certificate(name),
  sign: async (message: Uint8Array) =>
    sign("sha256", message, createPrivateKey(readFileSync(vector(`secureboot/keys/test-${name}.key`)))),
});
const signingTime = new Date("2024-01-01T00:00:00Z");
const addonDigest = "dc541926920ff58c2461823135ca3e71fbe028f084cc5052c50d50313fadef69";

const db = { certificates: ["db", "db-rsa3072", "db-rsa4096", "CA", "exp", "revoked"].map(certificate) };
const dbx = { certificates: [certificate("revoked")] };

const directory = mkdtempSync(join(tmpdir(), "sealwright-authenticode-"));
afterAll(() => rmSync(directory, { recursive: true }));

const store = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(directory, name), bytes);
  return join(directory, name);
};

describe("computeAuthenticodeDigest()", () => {
  test.each([
    "addon.unsigned.efi",
    "addon.sbsign.efi",
    "addon.systemd-sbsign.efi",
    "addon.two-sbsign.efi",
    "addon.osslsigncode.efi",
  ])("of %s is that of the unsigned addon", (name) => {
    expect(toHex(computeAuthenticodeDigest(pe(name)))).toBe(addonDigest);
  });

  test.each(["addon.tail3.unsigned.efi", "addon.rawend-unaligned.unsigned.efi"])(
    "of %s is the digest that sbsign signed: the padding counts",
    (name) => {
      const [signature] = listSignatures(parsePe(pe(name.replace(".unsigned", ".sbsign"))));
      expect(signature?.kind === "authenticode" && toHex(signature.image.digest)).toBe(
        toHex(computeAuthenticodeDigest(pe(name))),
      );
    },
  );

  test("equals what hash-to-efi-sig-list computes for the programs of efitools, of aligned and other sizes", () => {
    const programs = globSync("/usr/lib/efitools/*/*.efi");
    expect(programs.length).toBeGreaterThan(4);
    for (const path of programs) {
      execFileSync("hash-to-efi-sig-list", [path, join(directory, "hash.esl")], { stdio: "pipe" });
      const [list] = parseSignatureLists(readFileSync(join(directory, "hash.esl")));
      expect(list?.signatures[0]?.data).toEqual(computeAuthenticodeDigest(readFileSync(path)));
    }
  });

  test("equals what firmware measured for a boot loader", () => {
    const manifest = readFileSync(sharedFixture("secureboot/attest/manifest.json"), "utf8");
    const loader = readFileSync(sharedFixture("secureboot/attest/systemd-bootx64.signed.efi"));
    expect(manifest).toContain(toHex(computeAuthenticodeDigest(loader)));
    expect(verifyPe(loader, { db, dbx })).toMatchObject({ by: "certificate", index: 0 });
  });

  test("equals what pesign computes for a UKI", () => {
    const text = execFileSync("pesign", ["-h", "-i", sharedFixture("secureboot/uki/min.signed.efi")], {
      encoding: "utf8",
    });
    expect(text).toContain(toHex(computeAuthenticodeDigest(uki("min.unsigned.efi"))));
  });
});

describe("signPe() writes what systemd-sbsign writes, byte for byte", () => {
  test.each([
    [pe, "addon.unsigned.efi", "addon.systemd-sbsign.efi", "db"],
    [pe, "addon.systemd-sbsign.efi", "addon.two-systemd-sbsign.efi", "db2"],
    [pe, "addon.unsigned.efi", "addon.systemd-sbsign.rsa3072.efi", "db-rsa3072"],
    [pe, "addon.unsigned.efi", "addon.systemd-sbsign.rsa4096.efi", "db-rsa4096"],
    [pe, "addon.tail3.unsigned.efi", "addon.tail3.systemd-sbsign.efi", "db"],
    [uki, "min.unsigned.efi", "min.signed.efi", "db"],
    [uki, "cmdline.addon.unsigned.efi", "cmdline.addon.signed.efi", "db"],
  ])("%o %s gives %s", async (load, input, output, key) => {
    const signed = await signPe(load(input), signer(key), { signingTime });
    expect(Buffer.compare(signed, load(output))).toBe(0);
  });
});

describe("signing elsewhere", () => {
  const image = pe("addon.unsigned.efi");
  const message = pe("addon.tbs.der");
  const signature = pe("addon.tbs.sig");

  test("prepareSignature() gives the bytes of --prepare-offline-signing", () => {
    const prepared = prepareSignature(image, signingTime);
    expect(toHex(prepared.message)).toBe(message.toString("hex"));
    expect(toHex(prepared.digest)).toBe(addonDigest);
  });

  test("attachSignature() gives the file that signing in one step gives", () => {
    const attached = attachSignature(image, { certificate: certificate("db"), message, signature });
    expect(Buffer.compare(attached, pe("addon.systemd-sbsign.efi"))).toBe(0);
  });

  test.each<[string, string, () => unknown]>([
    [
      "a message about another image",
      "authenticode.attach.other-image",
      () => attachSignature(pe("addon.tail3.unsigned.efi"), { certificate: certificate("db"), message, signature }),
    ],
    [
      "a signature of another key",
      "authenticode.attach.signature",
      () => attachSignature(image, { certificate: certificate("db2"), message, signature }),
    ],
    [
      "a message that is not a set of attributes",
      "der.tag.unexpected",
      () => attachSignature(image, { certificate: certificate("db"), message: certificate("db").der, signature }),
    ],
  ])("attachSignature() refuses %s", (_, code, work) => {
    expect(codeOf(work)).toBe(code);
  });
});

test("removeSignatures() gives the unsigned file back, with its CheckSum set", () => {
  const unsigned = removeSignatures(pe("addon.two-sbsign.efi"));
  expect(parsePe(unsigned).certificates).toBeUndefined();
  expect(toHex(computeAuthenticodeDigest(unsigned))).toBe(addonDigest);
  const stub = pe("addon.unsigned.efi");
  const at = parsePe(stub).checksumOffset;
  stub.copy(unsigned, at, at, at + 4);
  expect(Buffer.compare(unsigned, stub)).toBe(0);
});

describe("verifyPe() agrees with firmware", () => {
  const rows = pe("verdicts.tsv").toString().trim().split("\n").slice(1);
  const codes: Readonly<Record<string, string>> = {
    "addon.rawend-unaligned.unsigned.efi": "pe.signature.absent",
    "addon.tail3.unsigned.efi": "pe.signature.absent",
    "addon.unsigned.efi": "pe.signature.absent",
    "bad-addon.rawend-unaligned.systemd-sbsign.efi": "pe.signature.digest-mismatch",
    "bad-append8-after-certtable.efi": "pe.certificate-table.malformed",
    "bad-certdir-size+8.efi": "pe.certificate-table.malformed",
    "bad-gap16-before-certtable.efi": "pe.signature.digest-mismatch",
    "bad-good-then-revoked.efi": "pe.signature.revoked",
    "bad-header-padding-flipped.efi": "pe.signature.digest-mismatch",
    "bad-no-embedded-cert.efi": "pe.signature.invalid",
    "bad-revoked-signer.efi": "pe.signature.revoked",
    "bad-rogue-signer.efi": "pe.signature.untrusted",
    "bad-section-byte-flipped.efi": "pe.signature.digest-mismatch",
    "bad-signature-bit-flipped.efi": "pe.signature.invalid",
  };

  test.each(rows.map((row) => row.split("\t")))("%s: %s", (name = "", verdict = "") => {
    const code = codeOf(() => verifyPe(pe(name), { db, dbx }));
    expect(code === "accepted" ? "accept" : "reject").toBe(verdict);
    expect(code).toBe(codes[name] ?? "accepted");
  });
});

describe("verifyPe() gives evidence:", () => {
  test("the chain from the signer to the certificate in db", () => {
    const evidence = verifyPe(pe("v-leaf-of-enrolled-CA.efi"), { db, dbx });
    expect(evidence).toMatchObject({ by: "certificate", index: 0, algorithm: "sha256" });
    expect(evidence.by === "certificate" && evidence.chain.map(({ subject }) => subject)).toEqual([
      "CN=test leaf",
      "CN=test CA",
    ]);
  });

  test("which of several signatures counted", () => {
    expect(verifyPe(pe("v-rogue-then-good.efi"), { db, dbx })).toMatchObject({ by: "certificate", index: 1 });
  });

  test("the digest in db, for unsigned and for rogue-signed images", () => {
    const hash = Buffer.from(addonDigest, "hex");
    const hashes = { certificates: [], imageHashes: [{ algorithm: "sha256" as const, hash }] };
    for (const name of ["addon.unsigned.efi", "bad-rogue-signer.efi"]) {
      expect(verifyPe(pe(name), { db: hashes })).toMatchObject({ by: "hash", digest: hash });
    }
    expect(codeOf(() => verifyPe(pe("addon.systemd-sbsign.efi"), { db, dbx: hashes }))).toBe("pe.signature.revoked");
  });

  test("no trust in a leaf whose authority or whose own certificate hash is in dbx", () => {
    const leaf = pe("v-leaf-of-enrolled-CA.efi");
    expect(codeOf(() => verifyPe(leaf, { db, dbx: { certificates: [certificate("CA")] } }))).toBe(
      "pe.signature.revoked",
    );
    const hash = createHash("sha256").update(certificate("leaf").tbs).digest();
    const byHash = { certificates: [], certificateHashes: [{ algorithm: "sha256" as const, hash }] };
    expect(codeOf(() => verifyPe(leaf, { db, dbx: byHash }))).toBe("pe.signature.revoked");
  });
});

describe("other tools", () => {
  const dbCertificate = vector("secureboot/keys/test-db.crt");

  test.each(["addon.unsigned.efi", "addon.tail3.unsigned.efi", "addon.rawend-unaligned.unsigned.efi"])(
    "sbverify and osslsigncode accept our signature of %s, and so do we",
    async (name) => {
      const signed = await signPe(pe(name), signer("db"), { signingTime });
      const path = store(name, signed);
      execFileSync("sbverify", ["--cert", dbCertificate, path], { stdio: "pipe" });
      const text = execFileSync(OSSLSIGNCODE, ["verify", "-CAfile", dbCertificate, path], { encoding: "utf8" });
      expect(text).toContain("Signature verification: ok");
      expect(verifyPe(signed, { db, dbx })).toMatchObject({ by: "certificate", index: 0 });
    },
  );

  test("pesign lists our two signatures", async () => {
    const once = await signPe(uki("min.unsigned.efi"), signer("db"), { signingTime });
    const path = store("two.efi", await signPe(once, signer("db2"), { signingTime }));
    const text = execFileSync("pesign", ["-S", "-i", path], { encoding: "utf8" });
    expect(text).toContain("test db");
    expect(text).toContain("test db2");
    execFileSync("sbverify", ["--cert", vector("secureboot/keys/test-db2.crt"), path], { stdio: "pipe" });
  });

  test("we accept what sbsign and osslsigncode sign today", () => {
    const input = sharedFixture("secureboot/uki/cmdline.addon.unsigned.efi");
    const key = vector("secureboot/keys/test-db.key");
    const sbsigned = join(directory, "sbsign.efi");
    const osslsigned = join(directory, "osslsigncode.efi");
    execFileSync("sbsign", ["--key", key, "--cert", dbCertificate, "--output", sbsigned, input], { stdio: "pipe" });
    const keys = ["-certs", dbCertificate, "-key", key, "-h", "sha256"];
    execFileSync(OSSLSIGNCODE, ["sign", ...keys, "-in", input, "-out", osslsigned], { stdio: "pipe" });
    for (const path of [sbsigned, osslsigned]) {
      expect(verifyPe(readFileSync(path), { db, dbx })).toMatchObject({ by: "certificate" });
    }
  });

  test("sbverify accepts an ECDSA signature of ours, and so do we", async () => {
    const signed = await signPe(pe("addon.unsigned.efi"), signer("db-p256"), { signingTime });
    const evidence = verifyPe(signed, { db: { certificates: [certificate("db-p256")] } });
    expect(evidence.by).toBe("certificate");
    execFileSync("sbverify", ["--cert", vector("secureboot/keys/test-db-p256.crt"), store("ec.efi", signed)]);
  });
});

test("listSignatures() takes 32 signatures and no more", () => {
  const [signature] = listSignatures(parsePe(pe("addon.systemd-sbsign.efi")));
  const der = signature?.kind === "authenticode" ? signature.der : new Uint8Array();
  const withSignatures = (count: number): Uint8Array =>
    replaceCertificates(
      parsePe(pe("addon.unsigned.efi")),
      Array.from({ length: count }, () => der),
    );
  expect(codeOf(() => verifyPe(withSignatures(32), { db, dbx }))).toBe("accepted");
  expect(codeOf(() => verifyPe(withSignatures(33), { db, dbx }))).toBe("authenticode.too-many");
});

describe("a changed image", () => {
  const good = pe("addon.systemd-sbsign.efi");

  test("is refused for every byte that is hashed", () => {
    const bytes = Uint8Array.from(good);
    const accepted: number[] = [];
    for (const [from, to] of authenticodeRanges(parsePe(good))) {
      for (let at = from; at < to; at++) {
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        if (codeOf(() => verifyPe(bytes, { db, dbx })) === "accepted") accepted.push(at);
        bytes[at] = good[at] ?? 0;
      }
    }
    expect(accepted).toEqual([]);
  });

  test("is refused for every byte of its certificate table but wRevision, which edk2 does not read", () => {
    const table = parsePe(good).certificates?.offset ?? 0;
    const accepted = [...good.keys()].slice(table).filter((at) => {
      const bytes = Uint8Array.from(good);
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
      return codeOf(() => verifyPe(bytes, { db, dbx })) === "accepted";
    });
    expect(accepted).toEqual([table + 4, table + 5]);
  });

  test("gives a verdict or an error of ours, whatever the change", () => {
    const change = fc.record({ at: fc.nat(good.length - 1), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(good.length), (changes, cut) => {
        const bytes = Uint8Array.from(cut % 5 === 0 ? good.subarray(0, cut) : good);
        for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
        expect(codeOf(() => verifyPe(bytes, { db, dbx }))).toMatch(/^(accepted|pe\..*)$/);
      }),
      { numRuns: 1000 },
    );
  });
});
