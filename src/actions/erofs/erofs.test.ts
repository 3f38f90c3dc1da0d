import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { readErofsFile } from "./content.ts";
import { dumpErofs } from "./dump-erofs.ts";
import { inspectErofs } from "./inspect-erofs.ts";
import { listErofs } from "./list-erofs.ts";

const composefs = vector("composefs/images/all-types.v1.erofs");
const names = async (...options: Parameters<typeof listErofs>) => (await listErofs(...options)).map(({ path }) => path);

let directory = "";
let plain = "";

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-erofs-"));
  const root = join(directory, "root");
  mkdirSync(join(root, "d"), { recursive: true });
  writeFileSync(join(root, "d", "big"), "0123456789".repeat(1000));
  symlinkSync("big", join(root, "d", "link"));
  utimesSync(join(root, "d", "big"), 1_700_000_000, 1_700_000_000);
  plain = join(directory, "plain.erofs");
  execFileSync("mkfs.erofs", [plain, root], { stdio: "pipe" });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("inspectErofs()", () => {
  test.each(["sha256", "sha512"] as const)("has the %s digest that the fsverity tool computes", async (algorithm) => {
    const said = execFileSync("fsverity", ["digest", `--hash-alg=${algorithm}`, "--compact", composefs], {
      encoding: "utf8",
    });
    expect((await inspectErofs(composefs)).fsverity[algorithm]).toBe(said.trim());
  });

  test("counts names and contents", async () => {
    const report = await inspectErofs(composefs);
    expect(report).toMatchObject({
      composefsVersion: 1,
      names: { directory: 5, file: 4, symlink: 1, char: 258, block: 1, fifo: 1, socket: 1 },
      contents: { stored: { files: 1, bytes: 5 }, objects: { files: 2, bytes: 74_097 } },
    });
    expect(report.inodes).toBe(report.superblock.inodeCount);
  });

  test("reads what mkfs.erofs writes", async () => {
    expect(await inspectErofs(plain)).toMatchObject({
      composefsVersion: null,
      names: { directory: 2, file: 1, symlink: 1 },
      contents: { stored: { files: 1, bytes: 10_000 }, objects: { files: 0 } },
    });
  });
});

describe("listErofs()", () => {
  test("lists a directory without what the format adds to the root, unless asked for it", async () => {
    expect(await names(composefs)).toEqual(["/dev", "/usr", "/var"]);
    expect(await names(composefs, { all: true })).toHaveLength(259);
    expect(await names(vector("composefs/images/all-types-sha512.v2.erofs"), { all: true })).toHaveLength(3);
  });

  test("lists everything below a path, and a file by its own path", async () => {
    expect(await names(composefs, { path: "usr", recursive: true })).toEqual([
      "/usr",
      "/usr/bin",
      "/usr/bin/alias",
      "/usr/bin/sh",
      "/usr/bin/tool",
      "/usr/small",
    ]);
    expect(await names(composefs, { path: "/usr/small" })).toEqual(["/usr/small"]);
  });

  test("tells where content is, where links lead and how old things are", async () => {
    const [, , alias, link, , small] = await listErofs(composefs, { path: "/usr", recursive: true });
    expect(alias).toMatchObject({
      mode: 0o4755,
      nlink: 2,
      size: 70_000,
      object: expect.stringMatching(/^f0\/[0-9a-f]{62}$/),
    });
    expect(link).toMatchObject({ kind: "symlink", target: "tool" });
    expect(small).toMatchObject({ mtime: "2023-11-14T22:13:21.000000005Z", xattrs: [] });
  });

  test("refuses a path that is not there", async () => {
    expect(await codeOfAsync(() => listErofs(composefs, { path: "/usr/none" }))).toBe("erofs.path.not-found");
    expect(await codeOfAsync(() => listErofs(composefs, { path: "/usr/small/x" }))).toBe("erofs.path.not-found");
  });
});

describe("readErofsFile()", () => {
  test("reads what is in the image", async () => {
    expect(Buffer.from(await readErofsFile(plain, "/d/big")).toString()).toBe("0123456789".repeat(1000));
    expect(await readErofsFile(composefs, "/usr/small")).toHaveLength(5);
  });

  test.each([
    ["/usr/bin/tool", "erofs.content.external"],
    ["/usr/bin/sh", "erofs.path.not-a-file"],
    ["/usr", "erofs.path.not-a-file"],
  ])("refuses %s with %s", async (path, code) => {
    expect(await codeOfAsync(() => readErofsFile(composefs, path))).toBe(code);
  });
});

describe("dumpErofs()", () => {
  test.each(["all-types.v1", "all-types.v2", "whiteouts.v1", "all-types-sha512.v1"])(
    "gives the dump that %s was written from",
    async (name) => {
      const dump = Buffer.concat([...(await dumpErofs(vector(`composefs/images/${name}.erofs`)))]);
      const source = readFileSync(vector(`composefs/dumps/${name.slice(0, -".v1".length)}.dump`));
      // Format 2 has no nanoseconds.
      const expected = name.endsWith("v2")
        ? source.toString().replaceAll(/^((?:\S+ ){7}\d+)\.\d+/gm, "$1.0")
        : source.toString();
      expect(dump.toString()).toBe(expected);
    },
  );

  test("refuses an image that is none of composefs", async () => {
    expect(await codeOfAsync(() => dumpErofs(plain))).toBe("composefs.image.magic");
  });
});

describe("sealwright erofs", () => {
  const run = (...args: string[]) => execFileSync("node", ["bin/sealwright.cjs", ...args], { stdio: "pipe" });

  test("prints bytes as they are", () => {
    expect(run("erofs", "cat", plain, "/d/big").toString()).toBe("0123456789".repeat(1000));
    expect(run("erofs", "dump", composefs)).toEqual(readFileSync(vector("composefs/dumps/all-types.dump")));
  });

  test("lists as ls -l does", () => {
    const lines = run("erofs", "ls", "-l", composefs, "/usr").toString();
    expect(lines).toMatch(/^drwxr-xr-x +2 +0 +0 +\d+ 2023-11-14T22:13:20Z \/usr\/bin$/m);
    expect(JSON.parse(run("erofs", "ls", "--json", composefs, "/usr").toString())).toHaveLength(2);
  });

  test("is also a source of digests", () => {
    const image = vector("composefs/images/all-types-sha512.v1.erofs");
    const measured = execFileSync("fsverity", ["digest", "--hash-alg=sha512", "--compact", image]).toString().trim();
    expect(run("digest", `erofs:${image}`).toString().trim()).toBe(measured);
  });
});
