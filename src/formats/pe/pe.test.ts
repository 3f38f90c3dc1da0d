import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { sharedFixture } from "../../../test/fixtures.ts";
import {
  appendCertificate,
  computePeChecksum,
  parsePe,
  readCertificateTable,
  replaceCertificates,
  requireLoadable,
  sectionContent,
} from "./index.ts";

const load = (path: string): Buffer => readFileSync(sharedFixture(`secureboot/${path}`));
const addon = load("pe/addon.unsigned.efi");

/** The addon stub with `value` stored at `offset`. */
function edited(offset: number, value: number, size: 1 | 2 | 4 = 4): Buffer {
  const copy = Buffer.from(addon);
  copy.writeUIntLE(value, offset, size);
  return copy;
}

const pe = parsePe(addon);
const [text, sdmagic] = pe.sections as [(typeof pe.sections)[0], (typeof pe.sections)[0]];

describe("parsePe()", () => {
  test.each(["uki/full.unsigned.efi", "uki/multi.unsigned.efi", "pe/addon.unsigned.efi"])(
    "lists the sections of %s as objdump does",
    (path) => {
      const listed = spawnSync("objdump", ["-h", sharedFixture(`secureboot/${path}`)], { encoding: "utf8" });
      expect(listed.status, listed.stderr).toBe(0);
      const rows = [...listed.stdout.matchAll(/^\s+\d+ (\S+)\s+([0-9a-f]{8})\s+\S+\s+\S+\s+([0-9a-f]{8})/gm)];
      expect(rows.map(([, name, size, offset]) => ({ name, size, offset }))).toEqual(
        parsePe(load(path)).sections.map((section) => ({
          name: section.name,
          size: Math.min(section.virtualSize, section.rawSize).toString(16).padStart(8, "0"),
          offset: section.rawOffset.toString(16).padStart(8, "0"),
        })),
      );
    },
  );

  test("reads the header fields of a stub", () => {
    expect(parsePe(load("uki/min.unsigned.efi"))).toMatchObject({
      flavour: "PE32+",
      machine: 0x8664,
      sectionAlignment: 0x1000,
      fileAlignment: 0x200,
      sizeOfHeaders: 0x5000,
      subsystem: 10,
      certificates: undefined,
    });
  });

  test.each([
    ["pe.truncated", addon.subarray(0, 0x3f)],
    ["pe.truncated", edited(0x3c, addon.length - 8)],
    ["pe.dos.magic", edited(0, 0, 1)],
    ["pe.signature", edited(pe.coffOffset, 0)],
    ["pe.optional.magic", edited(pe.optionalOffset, 0x107, 2)],
    ["pe.optional.magic", edited(pe.coffOffset + 20, 0, 2)],
    ["pe.optional.directories", edited(pe.optionalOffset + 108, 4)],
    ["pe.optional.directories", edited(pe.optionalOffset + 108, 0xffff_ffff)],
    ["pe.optional.alignment", edited(pe.optionalOffset + 36, 0)],
    ["pe.optional.alignment", edited(pe.optionalOffset + 32, 0x1001)],
    ["pe.headers.outside-file", edited(pe.optionalOffset + 60, addon.length + 1)],
    ["pe.sections.outside-headers", edited(pe.coffOffset + 6, 0xffff, 2)],
    ["pe.certificates.outside-file", edited(pe.certificateEntryOffset + 4, 0xffff_ffff)],
    ["pe.section.overlap", edited(sdmagic.headerOffset + 20, text.rawOffset)],
    ["pe.section.overlap", edited(text.headerOffset + 20, 0)],
    ["pe.section.outside-file", edited(sdmagic.headerOffset + 16, 0xffff_fe00)],
  ])("refuses with %s", (code, bytes) => {
    expect(codeOf(() => parsePe(bytes))).toBe(code);
  });

  test("answers mutated and cut files with a value or a coded refusal", () => {
    const signed = load("pe/addon.two-sbsign.efi");
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(0x420), fc.nat(255)), { maxLength: 4 }),
        fc.nat(signed.length),
        (changes, cut) => {
          const bytes = Buffer.from(signed.subarray(0, signed.length - (cut % 3 === 0 ? cut : 0)));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          codeOf(() => {
            const mutated = parsePe(bytes);
            mutated.sections.map((section) => sectionContent(mutated, section));
            readCertificateTable(mutated);
            requireLoadable(mutated);
          });
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe("sectionContent()", () => {
  test("ends at the virtual size, or at the raw size when that is less", () => {
    expect(Buffer.from(sectionContent(pe, sdmagic)).toString("latin1")).toMatch(/^#### LoaderInfo: systemd-addon /);
    expect(sectionContent(pe, sdmagic)).toHaveLength(sdmagic.virtualSize);
    const wide = parsePe(edited(sdmagic.headerOffset + 8, 0x2000));
    expect(sectionContent(wide, wide.sections[1] as typeof sdmagic)).toHaveLength(sdmagic.rawSize);
  });
});

describe("requireLoadable()", () => {
  test.each([
    ["accepted", addon],
    ["pe.section.overlap-in-memory", edited(sdmagic.headerOffset + 12, text.virtualAddress)],
    ["pe.section.outside-image", edited(pe.optionalOffset + 56, 0x1000)],
  ])("%s", (code, bytes) => {
    expect(codeOf(() => requireLoadable(parsePe(bytes)))).toBe(code);
  });
});

describe("readCertificateTable()", () => {
  test("finds the PKCS#7 that sbsign wrote detached", () => {
    const [entry, ...others] = readCertificateTable(parsePe(load("pe/addon.sbsign.efi")));
    expect(others).toEqual([]);
    expect(entry).toMatchObject({ revision: 0x0200, type: 2 });
    expect(Buffer.from(entry?.content ?? []).equals(load("pe/addon.sbsign.p7.der"))).toBe(true);
  });

  test.each([
    ["pe/addon.unsigned.efi", 0],
    ["pe/addon.two-systemd-sbsign.efi", 2],
    ["pe/addon.osslsigncode.efi", 1],
    ["pe/v-dwlength-padded.efi", 1],
  ])("%s has %i entries", (path, count) => {
    expect(readCertificateTable(parsePe(load(path)))).toHaveLength(count);
  });

  const signed = load("pe/addon.sbsign.efi");
  const table = parsePe(signed).certificates as { offset: number; size: number };
  const signedEdit = (offset: number, value: number): Buffer => {
    const copy = Buffer.from(signed);
    copy.writeUInt32LE(value, offset);
    return copy;
  };
  const misaligned = signedEdit(pe.certificateEntryOffset, table.offset + 4);
  misaligned.writeUInt32LE(table.size - 4, pe.certificateEntryOffset + 4);
  test.each([
    ["pe.certificates.not-at-end", load("pe/bad-append8-after-certtable.efi")],
    ["pe.certificates.misaligned", misaligned],
    ["pe.certificates.entry-length", signedEdit(table.offset, 7)],
    ["pe.certificates.entry-outside-table", signedEdit(table.offset, 0xffff_ffff)],
    ["pe.certificates.entry-outside-table", signedEdit(table.offset, table.size + 1)],
    ["pe.certificates.outside-file", signedEdit(pe.certificateEntryOffset + 4, table.size + 8)],
  ])("refuses with %s", (code, bytes) => {
    expect(codeOf(() => readCertificateTable(parsePe(bytes)))).toBe(code);
  });

  test("refuses a table that its entries do not fill exactly, as firmware does", () => {
    expect(codeOf(() => readCertificateTable(parsePe(load("pe/bad-certdir-size+8.efi"))))).toMatch(
      /^pe\.certificates\./,
    );
  });
});

describe("appendCertificate() and replaceCertificates()", () => {
  test.each([
    ["pe/addon.unsigned.efi", "pe/addon.sbsign.efi"],
    ["pe/addon.unsigned.efi", "pe/addon.systemd-sbsign.efi"],
    ["pe/addon.systemd-sbsign.efi", "pe/addon.two-systemd-sbsign.efi"],
    ["pe/addon.sbsign.efi", "pe/addon.two-sbsign.efi"],
    ["pe/addon.tail3.unsigned.efi", "pe/addon.tail3.sbsign.efi"],
    ["pe/addon.rawend-unaligned.unsigned.efi", "pe/addon.rawend-unaligned.sbsign.efi"],
    ["uki/min.unsigned.efi", "uki/min.signed.efi"],
  ])("from %s and its last signature make %s, byte for byte", (from, to) => {
    const der = readCertificateTable(parsePe(load(to))).at(-1)?.content ?? new Uint8Array(0);
    expect(Buffer.compare(appendCertificate(parsePe(load(from)), der), load(to))).toBe(0);
  });

  test("replacing by none removes table and directory", () => {
    const bare = parsePe(replaceCertificates(parsePe(load("pe/addon.two-sbsign.efi")), []));
    expect(bare.certificates).toBeUndefined();
    expect(bare.directories[4]).toEqual({ address: 0, size: 0 });
    expect(bare.bytes).toHaveLength(addon.length);
  });
});

test.each([
  "pe/addon.sbsign.efi",
  "pe/addon.systemd-sbsign.efi",
  "pe/addon.osslsigncode.efi",
  "pe/addon.tail3.sbsign.efi",
  "uki/min.signed.efi",
])("computePeChecksum() agrees with the signing tool on %s", (path) => {
  const signed = parsePe(load(path));
  expect(computePeChecksum(signed)).toBe(signed.checksum);
});
