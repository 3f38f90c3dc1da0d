import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { parseGuid, showGuid } from "../../lib/bytes/guid.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { parseVariableStore, updateVariableStore, type VariableValue } from "./index.ts";

const store = (name: string): Buffer =>
  execFileSync("xz", ["-dc", vector(`secureboot/vars/${name}.fd.xz`)], { maxBuffer: 1 << 27 });

/** As virt-fw-vars --output-json prints it. */
const json = JSON.parse(readFileSync(vector("secureboot/vars/enrolled.json"), "utf8")) as {
  variables: { name: string; guid: string; attr: number; data: string; time?: string }[];
};
const enrolled: VariableValue[] = json.variables.map(({ name, guid, attr, data, time }) => ({
  name,
  vendor: parseGuid(guid),
  attributes: attr,
  ...(time === undefined ? {} : { time: Buffer.from(time, "hex") }),
  data: Buffer.from(data, "hex"),
}));

/** Byte for byte, told by digest: a difference in 64 MiB is no message. */
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe.each([
  ["OVMF_VARS.2m", 0xe000],
  ["OVMF_VARS.4m", 0x40000],
  ["AAVMF_VARS", 0x40000],
])("%s", (name, recordsEnd) => {
  const blank = store(`${name}.blank`);
  const theirs = store(`${name}.enrolled`);

  test("parseVariableStore() finds nothing in the store as packaged", () => {
    expect(parseVariableStore(blank)).toEqual({ variables: [], recordsStart: 0x64, recordsEnd });
  });

  test("parseVariableStore() reads what virt-fw-vars says is in it", () => {
    const { variables } = parseVariableStore(theirs);
    expect(
      variables.map(({ vendor, attributes, data, time, ...rest }) => ({
        name: rest.name,
        guid: showGuid(vendor),
        attr: attributes,
        data: toHex(data),
        ...(time.some((byte) => byte !== 0) ? { time: toHex(time) } : {}),
      })),
    ).toEqual(json.variables);
  });

  test("updateVariableStore() writes the bytes of virt-fw-vars, in whatever order variables come", () => {
    expect(sha256(updateVariableStore(blank, enrolled.toReversed()))).toBe(sha256(theirs));
    expect(sha256(updateVariableStore(theirs, enrolled.slice(2, 3)))).toBe(sha256(theirs));
  });
});

test("parseVariableStore() skips what a firmware has deleted, and updating compacts", () => {
  const used = store("OVMF_VARS.4m.enrolled-by-systemd-boot");
  const { variables } = parseVariableStore(used);
  const names = variables.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["PK", "KEK", "db", "dbx", "BootOrder"]));
  expect(new Set(variables.map(({ name, vendor }) => `${name} ${showGuid(vendor)}`)).size).toBe(names.length);
  const compacted = parseVariableStore(updateVariableStore(used, []));
  expect(compacted.variables.map(({ name }) => name)).toEqual(names.toSorted());
  const db = (list: typeof variables): string =>
    toHex(list.find(({ name }) => name === "db")?.data ?? new Uint8Array());
  expect(db(compacted.variables)).toBe(db(variables));
});

test("a record that is being replaced counts until there is a newer one", () => {
  const one = { name: "A", vendor: enrolled[0]?.vendor as Uint8Array, attributes: 3, data: Uint8Array.of(1) };
  const bytes = updateVariableStore(store("OVMF_VARS.2m.blank"), [one]);
  const dataOf = (): number[] => parseVariableStore(bytes).variables.map(({ data }) => data[0] as number);
  bytes[0x64 + 2] = 0x3e;
  expect(dataOf()).toEqual([1]);
  const size = 60 + 4 + 1 + 3;
  bytes.copyWithin(0x64 + size, 0x64, 0x64 + size);
  bytes.set([0x3f], 0x64 + size + 2);
  bytes.set([2], 0x64 + size + 64);
  expect(dataOf()).toEqual([2]);
  bytes[0x64 + size + 2] = 0x3c;
  expect(dataOf()).toEqual([1]);
});

test("updateVariableStore() refuses what does not fit", () => {
  const big = { ...(enrolled[0] as VariableValue), data: new Uint8Array(0xe000 - 0x64 - 60 - 22) };
  const blank = store("OVMF_VARS.2m.blank");
  expect(parseVariableStore(updateVariableStore(blank, [big])).variables).toHaveLength(1);
  const bigger = { ...big, data: new Uint8Array(big.data.length + 1) };
  expect(codeOf(() => updateVariableStore(blank, [bigger]))).toBe("varstore.full");
});

describe("parseVariableStore() refuses", () => {
  const good = store("OVMF_VARS.2m.enrolled");

  test.each<[string, string, (bytes: Buffer) => unknown]>([
    ["another volume", "varstore.volume", (bytes) => bytes.writeUInt8(0, 16)],
    ["a volume without its signature", "varstore.volume", (bytes) => bytes.write("_FVX", 40)],
    ["a header of another size", "varstore.volume", (bytes) => bytes.writeUInt16LE(0x50, 48)],
    ["a wrong checksum", "varstore.checksum", (bytes) => bytes.writeUInt16LE(1, 50)],
    [
      "a store without times",
      "varstore.plain",
      (bytes) =>
        parseGuid("ddcf3616-3275-4164-98b6-fe85707ffe7d").forEach((byte, i) => bytes.writeUInt8(byte, 0x48 + i)),
    ],
    ["a store of another kind", "varstore.header", (bytes) => bytes.writeUInt8(0, 0x48)],
    ["a store larger than its volume", "varstore.header", (bytes) => bytes.writeUInt32LE(0x20000, 0x58)],
    ["a store smaller than its header", "varstore.header", (bytes) => bytes.writeUInt32LE(27, 0x58)],
    ["a store that is not formatted", "varstore.header", (bytes) => bytes.writeUInt8(0xff, 0x5c)],
    ["an unhealthy store", "varstore.header", (bytes) => bytes.writeUInt8(0xff, 0x5d)],
    ["a name behind the end", "varstore.record", (bytes) => bytes.writeUInt32LE(0xffffffff, 0x64 + 36)],
    ["data behind the end", "varstore.record", (bytes) => bytes.writeUInt32LE(0xfffffff0, 0x64 + 40)],
    ["a name without its NUL", "varstore.record", (bytes) => bytes.writeUInt32LE(20, 0x64 + 36)],
    ["half a character", "varstore.record", (bytes) => bytes.writeUInt32LE(21, 0x64 + 36)],
    ["no name", "varstore.record", (bytes) => bytes.writeUInt32LE(2, 0x64 + 36)],
  ])("%s", (_, code, change) => {
    const bytes = Buffer.from(good);
    change(bytes);
    expect(codeOf(() => parseVariableStore(bytes))).toBe(code);
  });

  test("a file cut anywhere", () => {
    for (const size of [0, 0x47, 0x63, 0x1000, good.length - 1]) {
      expect(codeOf(() => parseVariableStore(good.subarray(0, size)))).toMatch(/^varstore\.(truncated|volume)$/);
    }
  });

  test("nothing with anything but a refusal", () => {
    const change = fc.record({ at: fc.nat(0x400), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const bytes = Uint8Array.from(good);
        for (const { at, value } of changes) bytes[at] = value;
        expect(codeOf(() => updateVariableStore(bytes, enrolled))).toMatch(/^(accepted|varstore\..*)$/);
      }),
      { numRuns: 300 },
    );
  });
});
