import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { sharedFixture } from "../../../test/fixtures.ts";
import { parsePe, replaceCertificates } from "../pe/index.ts";
import { encodeHwids, parseHwidDescription } from "./hwids.ts";
import {
  assembleUki,
  buildUki,
  findSection,
  inspectUki,
  makeSection,
  normalizeCommandLine,
  type PcrSigning,
  parseUki,
  predictPcr11,
  type UkiInputs,
} from "./index.ts";

const load = (path: string): Buffer => readFileSync(sharedFixture(`secureboot/${path}`));
const input = (name: string): Buffer => load(`uki/in/${name}`);

/** A fixture without what was added: the stub is third-party and lies nowhere else. */
function stubOf(path: string, ownSections: number): Buffer {
  const bytes = load(path);
  const pe = parsePe(bytes);
  const end = pe.sections[ownSections - 1] as (typeof pe.sections)[0];
  const out = Buffer.from(bytes.subarray(0, end.rawOffset + end.rawSize));
  const added = pe.sections.slice(ownSections);
  out.fill(0, added[0]?.headerOffset, (added.at(-1)?.headerOffset ?? 0) + 40);
  out.writeUInt16LE(ownSections, pe.coffOffset + 6);
  const size = pe.sizeOfInitializedData - added.reduce((sum, { virtualSize }) => sum + virtualSize, 0);
  out.writeUInt32LE(size, pe.optionalOffset + 8);
  const sbat = pe.sections.slice(0, ownSections).find(({ name }) => name === ".sbat");
  if (sbat !== undefined) {
    const text = out.toString("latin1", sbat.rawOffset, sbat.rawOffset + sbat.virtualSize);
    const own = text.slice(0, text.indexOf("uki,1,UKI"));
    out.fill(0, sbat.rawOffset, sbat.rawOffset + sbat.rawSize);
    out.write(own, sbat.rawOffset, "latin1");
  }
  return out;
}

const stub = stubOf("uki/min.unsigned.efi", 6);
const addonStub = load("pe/addon.unsigned.efi");

const pcrKey = createPrivateKey(load("keys/test-pcr.key"));
const initrdPhase: PcrSigning = {
  publicKey: createPublicKey(pcrKey),
  sign: async (message) => sign("sha256", message, pcrKey),
  phasePaths: ["enter-initrd"],
};
const pcr = { signings: [initrdPhase], banks: ["sha256"] } as const;

const min: UkiInputs = {
  linux: input("linux.bin"),
  initrds: [input("initrd1.bin")],
  cmdline: Buffer.from(normalizeCommandLine("root=/dev/sda1 quiet")),
  osRelease: input("os-release"),
  uname: "1.2.3",
};

const full: UkiInputs = {
  ...min,
  initrds: [input("initrd1.bin"), input("initrd2.bin")],
  cmdline: Buffer.from(normalizeCommandLine("  root=/dev/sda1   quiet ")),
  dtb: input("test.dtb"),
  dtbautos: [input("auto1.dtb"), input("auto2.dtb")],
  hwids: encodeHwids([parseHwidDescription(input("hwids/dev.json"), "dev.json")]),
  splash: input("splash.bmp"),
  ucode: input("ucode.bin"),
  pcrPublicKey: load("keys/test-pcr.pub.pem"),
  sections: [makeSection(".foo", Buffer.from("bar"))],
};

describe("buildUki() writes what ukify 262 wrote", () => {
  test("with the smallest set of sections", async () => {
    expect(Buffer.compare((await buildUki(stub, min)).bytes, load("uki/min.unsigned.efi"))).toBe(0);
  });

  test("with every section and a PCR signature for each .dtbauto", async () => {
    expect(Buffer.compare((await buildUki(stub, full, pcr)).bytes, load("uki/full.unsigned.efi"))).toBe(0);
  });

  test("with a joined profile, both signed", async () => {
    const inputs = {
      ...min,
      pcrPublicKey: load("keys/test-pcr.pub.pem"),
      profile: input("p0"),
      profiles: [load("uki/profile-alt.efi")],
    };
    expect(Buffer.compare((await buildUki(stub, inputs, pcr)).bytes, load("uki/multi.unsigned.efi"))).toBe(0);
  });

  test("for a profile PE", async () => {
    const cmdline = findSection(parseUki(load("uki/profile-alt.efi")), ".cmdline") ?? Buffer.alloc(0);
    const inputs = { profile: input("p1"), cmdline };
    expect(Buffer.compare((await buildUki(addonStub, inputs)).bytes, load("uki/profile-alt.efi"))).toBe(0);
  });

  test("for an addon", async () => {
    const built = await buildUki(addonStub, { cmdline: Buffer.from("debug") });
    expect(Buffer.compare(built.bytes, load("uki/cmdline.addon.unsigned.efi"))).toBe(0);
  });
});

describe("predictPcr11()", () => {
  const measured = (path: string): string[] =>
    [
      ...load(path)
        .toString()
        .matchAll(/^11:sha256=([0-9a-f]+)$/gm),
    ].map((match) => match[1] as string);
  const predicted = (path: string, profile: number): string[] =>
    predictPcr11(parseUki(load(path)), "sha256", { profile, phasePath: "enter-initrd" }).map((value) =>
      Buffer.from(value).toString("hex"),
    );

  test("agrees with ukify --measure for each .dtbauto", () => {
    expect(predicted("uki/full.unsigned.efi", 0)).toEqual(measured("uki/full.measure.txt"));
  });

  test("agrees with ukify --measure for each profile", () => {
    expect([0, 1].flatMap((profile) => predicted("uki/multi.unsigned.efi", profile))).toEqual(
      measured("uki/multi.measure.txt"),
    );
  });
});

describe("assembleUki() refuses", () => {
  const a = makeSection(".a", Buffer.from("a"));
  const patched = (from: Buffer, offset: number, value: number, size: 2 | 4): Buffer => {
    const copy = Buffer.from(from);
    copy.writeUIntLE(value, offset, size);
    return copy;
  };
  const addon = parsePe(addonStub);
  const kernel = patched(addonStub, addon.coffOffset + 4, 0xaa64, 2);
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => makeSection(`.s${index}`, Buffer.from("x")));

  test.each([
    ["uki.section.name", addonStub, [makeSection(".toolong1", Buffer.from("x"))]],
    ["uki.section.name", addonStub, [makeSection(".ä", Buffer.from("x"))]],
    ["uki.section.name", addonStub, [makeSection("", Buffer.from("x"))]],
    ["uki.section.duplicate", addonStub, [a, a]],
    ["accepted", addonStub, [a, makeSection(".profile", Buffer.from("ID=x")), a]],
    ["accepted", addonStub, [makeSection(".dtbauto", Buffer.from("x")), makeSection(".dtbauto", Buffer.from("y"))]],
    ["accepted", addonStub, many(15)],
    ["uki.stub.header-space", addonStub, many(16)],
    ["uki.section.too-large", stub, [makeSection(".sbat", Buffer.alloc(0x401))]],
    ["accepted", stub, [makeSection(".sbat", Buffer.alloc(0x400))]],
    ["uki.stub.signed", load("pe/addon.sbsign.efi"), [a]],
    ["uki.stub.subsystem", patched(addonStub, addon.optionalOffset + 68, 11, 2), [a]],
    ["uki.kernel.machine", addonStub, [makeSection(".linux", kernel)]],
    ["pe.dos.magic", Buffer.alloc(4096), [a]],
  ])("with %s", (code, bytes, sections) => {
    expect(codeOf(() => assembleUki(bytes, sections))).toBe(code);
  });

  test("what 32-bit offsets cannot hold", () => {
    const half = Buffer.alloc(16);
    const parts = Array.from({ length: 4 }, () =>
      Object.defineProperty(new Uint8Array(half), "length", { value: 0x4000_0000 }),
    );
    expect(codeOf(() => assembleUki(addonStub, [makeSection(".a", ...parts)]))).toBe("uki.image.too-large");
  });
});

test("buildUki() clears NX_COMPAT when the kernel lacks it, and only then", async () => {
  const at = parsePe(addonStub).optionalOffset + 70;
  const without = Buffer.from(addonStub);
  without.writeUInt16LE(0, at);
  const nx = async (linux: Buffer) =>
    parsePe((await buildUki(stub, { ...min, linux })).bytes).dllCharacteristics & 0x100;
  expect([await nx(addonStub), await nx(without)]).toEqual([0x100, 0]);
});

test("a signed UKI has the same sections as the unsigned one", () => {
  const signed = parsePe(load("uki/min.signed.efi"));
  expect(inspectUki(signed)).toEqual(inspectUki(parsePe(load("uki/min.unsigned.efi"))));
  const bare = Buffer.from(replaceCertificates(signed, []));
  bare.writeUInt32LE(0, signed.checksumOffset);
  expect(Buffer.compare(bare, load("uki/min.unsigned.efi"))).toBe(0);
});
