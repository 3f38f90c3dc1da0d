import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { parseVariableStore } from "../../formats/varstore/index.ts";
import { enrolStore } from "./enroll-store.ts";

const unpack = (name: string): Buffer =>
  execFileSync("xz", ["-dc", vector(`secureboot/vars/${name}.fd.xz`)], { maxBuffer: 1 << 27 });
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

let directory: string;
let keys: string;
const path = (name: string): string => join(directory, name);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-enroll-"));
  keys = path("keys");
  mkdirSync(keys);
  writeFileSync(join(keys, "GUID.txt"), "11111111-2222-3333-4444-123456789abc\n");
  for (const name of ["PK", "KEK", "db"]) {
    writeFileSync(join(keys, `${name}.crt`), readFileSync(vector(`secureboot/keys/test-${name}.crt`)));
  }
});

afterAll(() => rmSync(directory, { recursive: true }));

describe.each(["OVMF_VARS.2m", "OVMF_VARS.4m", "AAVMF_VARS"])("%s", (name) => {
  test("enrolStore() writes what virt-fw-vars writes, beside the store or in its place", async () => {
    const expected = sha256(unpack(`${name}.enrolled`));
    writeFileSync(path(name), unpack(`${name}.blank`));
    await enrolStore({ store: path(name), keys, output: path(`${name}.out`) });
    expect(sha256(readFileSync(path(`${name}.out`)))).toBe(expected);
    expect(await enrolStore({ store: path(name), keys })).toMatchObject({ container: "raw", db: ["CN=test db"] });
    expect(sha256(readFileSync(path(name)))).toBe(expected);
  });
});

test("enrolStore() keeps qcow2, as qemu-img reads it", async () => {
  writeFileSync(path("blank.fd"), unpack("AAVMF_VARS.blank"));
  const convert = (from: string, to: string, format: string): void =>
    void execFileSync("qemu-img", ["convert", "-O", format, path(from), path(to)]);
  convert("blank.fd", "blank.qcow2", "qcow2");
  expect(await enrolStore({ store: path("blank.qcow2"), keys, output: path("own.qcow2") })).toMatchObject({
    container: "qcow2",
  });
  execFileSync("qemu-img", ["check", "-q", path("own.qcow2")]);
  convert("own.qcow2", "own.fd", "raw");
  expect(sha256(readFileSync(path("own.fd")))).toBe(sha256(unpack("AAVMF_VARS.enrolled")));
});

test("enrolStore() replaces the keys that were there and keeps dbx", async () => {
  writeFileSync(path("used.fd"), unpack("OVMF_VARS.4m.enrolled-by-systemd-boot"));
  const variables = (): Map<string, string> =>
    new Map(parseVariableStore(readFileSync(path("used.fd"))).variables.map(({ name, data }) => [name, sha256(data)]));
  const before = variables();
  for (const name of ["PK", "KEK", "db"]) {
    writeFileSync(join(keys, `${name}.crt`), readFileSync(vector(`secureboot/keys/test-db2.crt`)));
  }
  await enrolStore({ store: path("used.fd"), keys });
  const after = variables();
  expect(["PK", "KEK", "db"].filter((name) => before.get(name) === after.get(name))).toEqual([]);
  expect(["dbx", "BootOrder", "Boot0000"].filter((name) => before.get(name) !== after.get(name))).toEqual([]);
});

test("enrolStore() leaves Secure Boot off when asked, and adds Microsoft's certificates for others when asked", async () => {
  writeFileSync(path("off.fd"), unpack("OVMF_VARS.4m.blank"));
  const enrolled = await enrolStore({ store: path("off.fd"), keys, secureBoot: false, microsoft: true });
  const { variables } = parseVariableStore(readFileSync(path("off.fd")));
  expect(variables.find(({ name }) => name === "SecureBootEnable")?.data).toEqual(Buffer.of(0));
  expect(enrolled.db.slice(1).join("\n")).toContain("UEFI CA");
  expect(enrolled.db.join("\n")).not.toContain("Windows");
});

test("enrolStore() refuses what is no store and leaves it alone", async () => {
  writeFileSync(path("text.fd"), "not a flash image");
  expect(await codeOfAsync(() => enrolStore({ store: path("text.fd"), keys }))).toBe("varstore.truncated");
  expect(readFileSync(path("text.fd"), "utf8")).toBe("not a flash image");
  expect(await codeOfAsync(() => enrolStore({ store: path("absent.fd"), keys }))).toBe("input.not-found");
  expect(await codeOfAsync(() => enrolStore({ store: path("text.fd"), keys: path("absent") }))).toBe("input.not-found");
});
