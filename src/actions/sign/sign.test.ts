import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { sharedFixture, vector } from "../../../test/fixtures.ts";
import { startTimestampAuthority, type TimestampAuthority } from "../../../test/timestamp-authority.ts";
import { OSSLSIGNCODE } from "../../../test/tools/osslsigncode.ts";
import { encodePem } from "../../formats/x509/index.ts";
import { attachSignatures, removeFileSignatures, signDetached } from "./detached.ts";
import { listFileSignatures } from "./list-signatures.ts";
import { type SignFileOptions, signFile } from "./sign-file.ts";

const directory = mkdtempSync(join(tmpdir(), "sealwright-sign-"));
const at = (name: string): string => join(directory, name);
let authority: TimestampAuthority;
beforeAll(async () => {
  for (const name of ["db", "db2", "db-rsa4096", "rogue"]) {
    copyFileSync(vector(`secureboot/keys/test-${name}.key`), at(`${name}.key`));
    chmodSync(at(`${name}.key`), 0o600);
    copyFileSync(vector(`secureboot/keys/test-${name}.crt`), at(`${name}.crt`));
  }
  authority = await startTimestampAuthority(directory);
});
afterAll(async () => {
  await authority[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const pe = (name: string): string => sharedFixture(`secureboot/pe/${name}`);
const unsigned = pe("addon.unsigned.efi");
const base = { now: new Date("2026-06-01T00:00:00Z"), randomBytes, overwrite: true };
const keys = (...names: readonly string[]) =>
  names.map((name) => ({ key: at(`${name}.key`), certificatePath: at(`${name}.crt`) }));
const optionsFor = (output: string, ...names: readonly string[]): SignFileOptions & { output: string } => ({
  ...base,
  keys: keys(...names),
  output: at(output),
});

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], cwd: directory });
}
function accepts(program: string, ...args: readonly string[]): boolean {
  try {
    run(program, ...args);
    return true;
  } catch {
    return false;
  }
}
/** With the header of a certificate table's entry, as osslsigncode 2.5 extracts signatures. */
function wrapped(der: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(8 + der.length);
  header.writeUInt16LE(0x0200, 4);
  header.writeUInt16LE(2, 6);
  return Buffer.concat([header, der, Buffer.alloc(-der.length & 7)]);
}
const sbverify = (name: string, path: string): boolean => accepts("sbverify", "--cert", at(`${name}.crt`), path);

describe("a file signed with two keys at once", () => {
  test("holds for each of them, and for nobody else, as sbverify and pesign see it", async () => {
    const { output, signatures, signers } = await signFile(unsigned, optionsFor("two.efi", "db", "db2"));
    expect({ signatures, signers }).toEqual({ signatures: 2, signers: ["CN=test db", "CN=test db2"] });
    expect([sbverify("db", output), sbverify("db2", output), sbverify("rogue", output)]).toEqual([true, true, false]);
    expect(run("sbverify", "--list", output).match(/^signature \d/gm)).toEqual(["signature 1", "signature 2"]);
    expect(run("pesign", "-S", "-i", output).match(/common name is (.+)/g)?.length).toBe(2);
  });

  test("has signatures that osslsigncode takes; of files with two it reads none", async () => {
    for (const name of ["db", "db2"]) {
      const { output } = await signFile(unsigned, optionsFor("alone.efi", name));
      expect(accepts(OSSLSIGNCODE, "verify", "-in", output, "-CAfile", at(`${name}.crt`))).toBe(true);
    }
    const { output } = await signFile(unsigned, optionsFor("two.efi", "db", "db2"));
    expect(accepts(OSSLSIGNCODE, "verify", "-in", output, "-CAfile", at("db.crt"))).toBe(false);
  });

  test("has the bytes of signing twice, and of sbsign behind it", async () => {
    const once = await signFile(unsigned, optionsFor("once.efi", "db"));
    const twice = await signFile(once.output, optionsFor("twice.efi", "db2"));
    const both = await signFile(unsigned, optionsFor("both.efi", "db", "db2"));
    expect(Buffer.compare(readFileSync(twice.output), readFileSync(both.output))).toBe(0);
    run("sbsign", "--key", at("db2.key"), "--cert", at("db2.crt"), "--output", at("theirs.efi"), once.output);
    expect((await listFileSignatures(at("theirs.efi"))).signatures.map(({ holds }) => holds)).toEqual([true, true]);
  });

  test("is not signed at all when one key fails", async () => {
    const options = { ...optionsFor("never.efi"), keys: [...keys("db"), { ...keys("db2")[0], key: at("rogue.key") }] };
    expect(await codeOfAsync(() => signFile(unsigned, options))).toBe("signer.key-certificate-mismatch");
    expect(() => readFileSync(at("never.efi"))).toThrow();
  });
});

test("signatures that a file has are replaced when that is asked for, and taken off", async () => {
  const replaced = await signFile(pe("addon.two-sbsign.efi"), {
    ...optionsFor("replaced.efi", "db-rsa4096"),
    replaceSignatures: true,
  });
  expect(replaced.signatures).toBe(1);
  expect([sbverify("db-rsa4096", replaced.output), sbverify("db", replaced.output)]).toEqual([true, false]);
  const bare = await removeFileSignatures(replaced.output, { output: at("bare.efi"), overwrite: true });
  expect(bare).toMatchObject({ signatures: 0, authenticodeDigest: replaced.authenticodeDigest });
  expect((await listFileSignatures(bare.output)).signatures).toEqual([]);
});

describe("a detached signature", () => {
  test("is attached to the bytes that signing in one step gives, here and with sbattach", async () => {
    const { output: p7s } = await signDetached(unsigned, at("ours.p7s"), optionsFor("", "db"));
    const signed = readFileSync((await signFile(unsigned, optionsFor("signed.efi", "db"))).output);
    const attached = await attachSignatures(unsigned, { ...base, signaturePaths: [p7s], output: at("attached.efi") });
    expect(attached).toMatchObject({ signatures: 1, signers: ["CN=test db"] });
    expect(Buffer.compare(readFileSync(attached.output), signed)).toBe(0);
    copyFileSync(unsigned, at("theirs.efi"));
    run("sbattach", "--attach", p7s, at("theirs.efi"));
    expect(sbverify("db", at("theirs.efi"))).toBe(true);
    expect((await listFileSignatures(at("theirs.efi"))).signatures).toMatchObject([{ holds: true }]);
  });

  test("of sbsign, of osslsigncode, in DER and in PEM is attached", async () => {
    const key = ["--key", at("db.key"), "--cert", at("db.crt")];
    run("sbsign", "--detached", ...key, "--output", at("sbsign.p7s"), unsigned);
    run(OSSLSIGNCODE, "extract-signature", "-in", pe("addon.osslsigncode.efi"), "-out", at("ossl.p7s"));
    writeFileSync(at("sbsign.pem"), encodePem("PKCS7", readFileSync(at("sbsign.p7s"))));
    writeFileSync(at("wrapped.p7s"), wrapped(readFileSync(at("ossl.p7s"))));
    for (const name of ["sbsign.p7s", "ossl.p7s", "sbsign.pem", "wrapped.p7s"]) {
      const options = { ...base, signaturePaths: [at(name)], output: at("attached.efi") };
      const { output } = await attachSignatures(unsigned, options);
      expect(sbverify("db", output), name).toBe(true);
    }
  });

  test("is refused for another file, of another signer, and when it was changed", async () => {
    const { output: p7s } = await signDetached(unsigned, at("refused.p7s"), optionsFor("", "db"));
    const attach = (path: string, signaturePath: string, certificatePaths: readonly string[] = []) =>
      codeOfAsync(() =>
        attachSignatures(path, { ...base, signaturePaths: [signaturePath], certificatePaths, output: at("x.efi") }),
      );
    expect(await attach(pe("addon.tail3.unsigned.efi"), p7s)).toBe("authenticode.attach.other-image");
    expect(await attach(unsigned, p7s, [at("db2.crt")])).toBe("sign.attach.other-signer");
    expect(await attach(unsigned, p7s, [at("db2.crt"), at("db.crt")])).toBe("accepted");
    const changed = readFileSync(p7s);
    changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
    writeFileSync(at("changed.p7s"), changed);
    expect(await attach(unsigned, at("changed.p7s"))).toBe("cms.signature.invalid");
    expect(await attach(unsigned, at("db.crt"))).toBe("der.tag.unexpected");
    expect(await attach(unsigned, unsigned)).toBe("der.tag.unexpected");
    expect(await attach(p7s, p7s)).toMatch(/^pe\./);
  });

  test("is made by one key", async () => {
    const sign = () => signDetached(unsigned, at("two.p7s"), optionsFor("", "db", "db2"));
    expect(await codeOfAsync(sign)).toBe("sign.detached-count");
  });
});

describe("a timestamp", () => {
  test("is over the signature, as osslsigncode verifies, and leaves sbverify content", async () => {
    const stamped = await signFile(unsigned, { ...optionsFor("stamped.efi", "db"), timestampUrl: authority.url });
    expect(sbverify("db", stamped.output)).toBe(true);
    const trust = ["-CAfile", at("db.crt"), "-TSA-CAfile", authority.certificatePath];
    const said = run(OSSLSIGNCODE, "verify", "-in", stamped.output, ...trust);
    expect(said).toMatch(/Timestamp Server Signature verification: ok/);
    expect(said).toMatch(/Number of verified signatures: 1/);
    const [facts] = (await listFileSignatures(stamped.output)).signatures;
    expect(facts).toMatchObject({ holds: true, timestamp: { authority: "CN=test timestamps" } });
  });

  test("of osslsigncode is read as well", async () => {
    const key = ["-certs", at("db.crt"), "-key", at("db.key"), "-ts", authority.url, "-h", "sha256"];
    rmSync(at("ossl.efi"), { force: true });
    // Not the synchronous form: the authority answers from this process.
    await promisify(execFile)(OSSLSIGNCODE, ["sign", ...key, "-in", unsigned, "-out", at("ossl.efi")]);
    const [facts] = (await listFileSignatures(at("ossl.efi"))).signatures;
    expect(facts).toMatchObject({ holds: true, timestamp: { authority: "CN=test timestamps" } });
  });

  test("is refused when it is over something else, an old one, or none", async () => {
    const sign = () =>
      codeOfAsync(() => signFile(unsigned, { ...optionsFor("never.efi", "db"), timestampUrl: authority.url }));
    let first: Uint8Array | undefined;
    authority.override = (query) => (first ??= authority.reply(query));
    expect(await sign()).toBe("accepted");
    expect(await sign()).toBe("timestamp.nonce");
    authority.override = () => Buffer.from("<html>");
    expect(await sign()).toBe("der.truncated");
    authority.override = undefined;
    const elsewhere = { ...optionsFor("never.efi", "db"), timestampUrl: "file:///etc/passwd" };
    expect(await codeOfAsync(() => signFile(unsigned, elsewhere))).toBe("timestamp.url");
  });
});

test("listFileSignatures() tells which signatures hold, and why not", async () => {
  const verdicts = async (name: string) =>
    (await listFileSignatures(pe(name))).signatures.map(({ problem }) => problem?.code ?? "holds");
  expect(await verdicts("addon.unsigned.efi")).toEqual([]);
  expect(await verdicts("addon.two-sbsign.efi")).toEqual(["holds", "holds"]);
  expect(await verdicts("bad-section-byte-flipped.efi")).toEqual(["pe.signature.digest-mismatch"]);
  expect(await verdicts("bad-signature-bit-flipped.efi")).toEqual(["cms.signature.invalid"]);
  expect(await verdicts("bad-no-embedded-cert.efi")).toEqual(["cms.signer.absent"]);
});
