import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { sharedFixture } from "../../../test/fixtures.ts";
import { parsePe } from "../pe/index.ts";
import {
  assembleUki,
  encodePcrPolicies,
  findSection,
  findText,
  inspectUki,
  joinPcrSignatures,
  makeSection,
  type PcrPolicies,
  parsePcrPolicies,
  parseUki,
  predictPcr11,
  readOsRelease,
  readSbatEntries,
  signPcrPolicies,
} from "./index.ts";
import { makePcrSignatureSection } from "./pcrsig.ts";

const load = (path: string): Buffer => readFileSync(sharedFixture(`secureboot/${path}`));
const addonStub = load("pe/addon.unsigned.efi");
const text = (content: string): Buffer => Buffer.from(content);

describe("inspectUki() reports what ukify inspect printed", () => {
  test.each(["min.unsigned", "full.unsigned", "multi.unsigned", "cmdline.addon.unsigned"])("for %s", (name) => {
    const report = inspectUki(parsePe(load(`uki/${name}.efi`)));
    expect(JSON.stringify(report, null, 4)).toBe(load(`uki/${name}.inspect.json`).toString().trimEnd());
  });

  test("for repeated, NUL-padded, undecodable and oddly named sections", () => {
    const uki = assembleUki(addonStub, [
      makeSection("__proto_", text("x")),
      makeSection(".osrel", Buffer.from([0x66, 0x6f, 0, 0x6f, 0, 0])),
      makeSection(".uname", Buffer.from([0xff])),
    ]);
    expect(inspectUki(parsePe(uki))).toMatchObject({
      __proto_: { size: 1 },
      ".osrel": { size: 6, text: "fo\\0o" },
      ".uname": { size: 1, text: "(not valid UTF-8)" },
    });
  });
});

describe("parseUki()", () => {
  test.each([
    ["uki", "uki/min.unsigned.efi"],
    ["uki", "uki/min.signed.efi"],
    ["addon", "uki/cmdline.addon.signed.efi"],
    ["profile", "uki/profile-alt.efi"],
  ])("tells a %s by its sections (%s)", (kind, path) => {
    expect(parseUki(load(path)).kind).toBe(kind);
  });

  test("reads texts, stub version and SBAT", () => {
    const uki = parseUki(load("uki/full.unsigned.efi"));
    expect(uki.stubVersion).toBe(262);
    expect(findText(uki, ".cmdline")).toBe("root=/dev/sda1 quiet");
    expect(findText(uki, ".uname")).toBe("1.2.3");
    expect(readOsRelease(uki).get("PRETTY_NAME")).toBe("Test OS 1");
    expect(readSbatEntries(uki).map(({ component, generation }) => [component, generation])).toEqual([
      ["sbat", 1],
      ["systemd-stub", 1],
      ["systemd-stub.debian", 1],
      ["uki", 1],
    ]);
  });

  test("lets a profile's sections hide the base's", () => {
    const uki = parseUki(load("uki/multi.unsigned.efi"));
    expect(uki.profiles.map(({ id, title }) => [id, title])).toEqual([
      ["main", "Main"],
      ["alt", "Alternative"],
    ]);
    expect(findText(uki, ".cmdline", 0)).toBe("root=/dev/sda1 quiet");
    expect(findText(uki, ".cmdline", 1)).toBe("root=/dev/sda1 profile=alt");
    expect(findSection(uki, ".initrd", 1)).toEqual(findSection(uki, ".initrd", 0));
    expect(codeOf(() => findSection(uki, ".initrd", 2))).toBe("uki.profile.absent");
  });

  const patched = (from: Uint8Array, offset: number, value: number, size: 1 | 4): Buffer => {
    const copy = Buffer.from(from);
    copy.writeUIntLE(value, offset, size);
    return copy;
  };
  const cmdline = assembleUki(addonStub, [makeSection(".cmdline", text("x"))]);
  const header = parsePe(cmdline).sections[2]?.headerOffset ?? 0;
  const twice = assembleUki(addonStub, [makeSection(".cmdline", text("a")), makeSection(".cmdlinf", text("b"))]);
  const nul = Buffer.from([0xff]);
  test.each([
    ["accepted", cmdline],
    ["uki.kind", addonStub],
    ["uki.kind", assembleUki(addonStub, [makeSection(".linux", text("x"))])],
    ["uki.subsystem", patched(cmdline, parsePe(cmdline).optionalOffset + 68, 11, 1)],
    ["uki.section.duplicate", patched(twice, header + 40 + 7, 0x65, 1)],
    ["uki.section.outgrows-file", patched(cmdline, header + 8, 0x201, 4)],
    ["pe.section.outside-file", patched(cmdline, header + 16, 0x400, 4)],
  ])("%s", (code, bytes) => {
    expect(codeOf(() => parseUki(bytes))).toBe(code);
  });

  test("refuses more profiles than the stub looks at", () => {
    const profiles = (count: number) => Array.from({ length: count }, () => makeSection(".profile", text("ID=x")));
    const stub = load("uki/min.unsigned.efi");
    expect(codeOf(() => parseUki(assembleUki(stub, profiles(256))))).toBe("accepted");
    expect(codeOf(() => parseUki(assembleUki(stub, profiles(257))))).toBe("uki.profile.count");
  });

  test("findText() refuses bytes that are no text", () => {
    const uki = parseUki(assembleUki(addonStub, [makeSection(".cmdline", nul)]));
    expect(codeOf(() => findText(uki, ".cmdline"))).toBe("uki.section.text");
  });

  test("answers mutated files with a value or a coded refusal", () => {
    const whole = load("uki/multi.unsigned.efi");
    const pe = parsePe(whole);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(pe.sectionTableOffset + pe.sections.length * 40), fc.nat(255)), { maxLength: 3 }),
        (changes) => {
          for (const [at, value] of changes) whole[at] = (whole[at] ?? 0) ^ value;
          codeOf(() => {
            const uki = parseUki(whole);
            uki.profiles.map((_, profile) => [findText(uki, ".cmdline", profile), readSbatEntries(uki, profile)]);
            inspectUki(uki.pe);
            predictPcr11(uki, "sha256");
          });
          for (const [at, value] of changes.toReversed()) whole[at] = (whole[at] ?? 0) ^ value;
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("PCR policies", () => {
  const measure = (name: string): Buffer => load(`measure/${name}`);
  const names = { linux: "linux.bin", osrel: "osrel.txt", cmdline: "cmdline.txt", initrd: "initrd.bin" };
  const more = { uname: "uname.txt", sbat: "sbat.csv", pcrpkey: "pcrpkey.pem" };
  const sections = Object.entries({ ...names, ...more }).map(([name, file]) => makeSection(`.${name}`, measure(file)));
  const key = createPrivateKey(load("keys/test-pcr.key"));
  const signing = { publicKey: createPublicKey(key), sign: async (m: Uint8Array) => sign("sha256", m, key) };
  const json = (name: string): PcrPolicies => JSON.parse(measure(name).toString()) as PcrPolicies;

  test.each([
    ["sign-all.json", {}, undefined],
    ["sign.json", { phasePaths: ["enter-initrd"] }, ["sha256"] as const],
    ["sign-policyref.json", { phasePaths: ["enter-initrd"], policyRef: "initrd" }, ["sha256"] as const],
  ])("signPcrPolicies() signs as systemd-measure did for %s", async (name, extra, banks) => {
    const made = await signPcrPolicies([sections], [{ ...signing, ...extra }], banks ? { banks } : {});
    expect(JSON.stringify(made)).toBe(JSON.stringify(json(name)));
  });

  test.each([
    ["policy-digest.json", {}],
    ["policy-digest-policyref.json", { policyRef: "initrd" }],
  ])("signPcrPolicies() without a signer prepares what systemd-measure did for %s", async (name, extra) => {
    const prepare = { publicKey: signing.publicKey, phasePaths: ["enter-initrd"], ...extra };
    expect(await signPcrPolicies([sections], [prepare], { banks: ["sha256"] })).toEqual(json(name));
  });

  test("signPcrPolicies() sorts banks and phase paths as systemd-measure does", async () => {
    const phasePaths = ["sysinit", "enter-initrd", "sysinit"];
    const unsorted = await signPcrPolicies([sections], [{ ...signing, phasePaths }], { banks: ["sha384", "sha256"] });
    const sorted = { ...signing, phasePaths: ["enter-initrd", "sysinit"] };
    const expected = await signPcrPolicies([sections], [sorted], { banks: ["sha256", "sha384"] });
    expect(JSON.stringify(unsorted)).toBe(JSON.stringify(expected));
    expect(Object.entries(unsorted).map(([bank, list]) => [bank, list.length])).toEqual([
      ["sha256", 2],
      ["sha384", 2],
    ]);
  });

  test("joinPcrSignatures() puts signatures where they were prepared", async () => {
    const phases = { phasePaths: ["enter-initrd"] };
    const prepared = await signPcrPolicies([sections], [{ publicKey: signing.publicKey, ...phases }]);
    const signed = await signPcrPolicies([sections], [{ ...signing, ...phases }]);
    const uki = assembleUki(addonStub, [makePcrSignatureSection(prepared)]);
    const joined = joinPcrSignatures(uki, signed);
    const found = parsePcrPolicies(Buffer.from(inspectText(joined)));
    for (const [bank, policies] of Object.entries(signed))
      expect(found).toHaveProperty(bank, [expect.objectContaining(policies[0] ?? {})]);
    expect(joined).toHaveLength(uki.length);
    expect(codeOf(() => joinPcrSignatures(uki, {}))).toBe("uki.pcrsig.absent");
    const long = Object.fromEntries(
      Object.entries(signed).map(([bank, [policy]]) => [bank, [{ ...policy, sig: "A".repeat(4096) }]]),
    );
    expect(codeOf(() => joinPcrSignatures(uki, long as PcrPolicies))).toBe("uki.pcrsig.too-large");
  });

  const inspectText = (uki: Uint8Array): string =>
    (inspectUki(parsePe(uki))[".pcrsig"] as { text?: string }).text ?? "";

  test.each([
    "",
    "[]",
    '{"md5":[]}',
    '{"sha256":{}}',
    '{"sha256":[{}]}',
    '{"sha256":[{"pcrs":[11],"pkfp":"XX","pol":""}]}',
  ])("parsePcrPolicies(%j) is refused", (input) => {
    expect(codeOf(() => parsePcrPolicies(text(input)))).toBe("uki.pcrsig.json");
  });

  test("a 252 stub measures no .uname and no .sbat", () => {
    const fewer = sections.filter(({ name }) => name !== ".uname" && name !== ".sbat");
    const uki = (list: typeof sections) => parseUki(assembleUki(addonStub, list));
    expect(predictPcr11(uki(sections), "sha256", { stubVersion: 252 })).toEqual(predictPcr11(uki(fewer), "sha256"));
  });

  test("an unknown phase and a key that is not RSA are refused", async () => {
    const uki = parseUki(load("uki/min.unsigned.efi"));
    expect(codeOf(() => predictPcr11(uki, "sha256", { phasePath: "enter-initrd:lunch" }))).toBe("uki.pcr.phase");
    const ec = createPublicKey(load("keys/test-db-p256.key"));
    await expect(signPcrPolicies([sections], [{ publicKey: ec }])).rejects.toMatchObject({ code: "uki.pcr.key-type" });
  });

  test("encodePcrPolicies() writes ASCII with Python's spaces", () => {
    const policy = { pcrs: [11], pkfp: "00", ref: "grün", pol: "11" };
    expect(encodePcrPolicies({ sha256: [policy] })).toBe(
      String.raw`{"sha256": [{"pcrs": [11], "pkfp": "00", "ref": "gr\u00fcn", "pol": "11"}]}`,
    );
  });
});
