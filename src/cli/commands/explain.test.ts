import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { entry, layer } from "../../../test/layers.ts";
import { encodeLayer, writeImageOf } from "../../../test/write-layers.ts";

const launcher = fileURLToPath(new URL("../../../bin/sealwright.cjs", import.meta.url));
const { dir, file } = entry;
const base = [dir("usr", { mtimeSec: 9n }), dir("boot"), dir("sysroot"), dir("etc"), file("etc/a", "a")];

let directory: string;
let first: string;
let second: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-explain-cli-"));
  first = `oci:${join(directory, "first")}`;
  second = `oci:${join(directory, "second")}`;
  await writeImageOf(first, [encodeLayer(layer(...base))], ["RUN base"]);
  const top = layer(dir("etc"), file("etc/<b>\x1b[2J", "b"));
  await writeImageOf(second, [encodeLayer(layer(...base)), encodeLayer(top)], ["RUN base", "RUN echo <i>\x1b[2J"]);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function sealwright(...args: readonly string[]) {
  const env = { ...process.env, XDG_CACHE_HOME: join(directory, "cache") };
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], { env, encoding: "utf8" });
  return { status, stdout, stderr };
}

test("sealwright explain ends with 0 for one digest and with 80 for two", () => {
  expect(sealwright("explain", first, first)).toMatchObject({
    status: 0,
    stdout: expect.stringContaining("the digests are equal"),
  });
  const { status, stdout } = sealwright("explain", first, second);
  expect(status).toBe(80);
  expect(stdout).toContain("explain.only-in-b  (1)");
  expect(stdout).toMatch(/B layer 1 sha256:[0-9a-f]{12} {2}RUN echo <i> \[2J/);
  expect(stdout).not.toContain("\x1b");
});

test("sealwright explain --json prints the report, --html writes one escaped page", async () => {
  const page = join(directory, "report.html");
  const { status, stdout } = sealwright("explain", first, second, "--json", "--html", page);
  expect(status).toBe(80);
  expect(JSON.parse(stdout)).toMatchObject({
    equal: false,
    a: { kind: "image", format: "v1-sha512" },
    causes: [{ code: "explain.only-in-b", count: 1, examples: [{ layers: { b: { index: 1 } } }] }],
  });
  const text = await readFile(page, "utf8");
  expect(text).toContain("/etc/&lt;b&gt;\\x1b[2J");
  expect(text).toContain("RUN echo &lt;i&gt;");
  expect(text).not.toMatch(/<b>|<i>|<script|\b(?:src|href)=/);
  expect(text).not.toContain("\u001b");
});

test("sealwright explain --against names the variant, or says how many were tried", async () => {
  const digest = sealwright("digest", first, "--format", "v2-sha512").stdout.trim();
  const page = join(directory, "variant.html");
  const found = sealwright("explain", first, "--against", `sha512:${digest}`, "--html", page);
  expect(found).toMatchObject({ status: 0, stdout: expect.stringContaining("found: v2-sha512\n") });
  expect(found.stdout).toContain("bootc 1.16.3 and older");
  expect(await readFile(page, "utf8")).toContain("found: v2-sha512");
  const missed = sealwright("explain", first, "--against", "0".repeat(64));
  expect(missed).toMatchObject({ status: 80, stdout: expect.stringMatching(/no known variant .* \d+ tried/) });
});

test.each([
  [["--against", "0"], "explain.against.malformed"],
  [[], "explain.second-missing"],
  [["B", "--against", "0".repeat(64)], "explain.against.with-second"],
])("sealwright explain A %s is a refusal", (args, code) => {
  const { status, stderr } = sealwright("explain", first, ...args);
  expect({ status, stderr }).toEqual({ status: 64, stderr: expect.stringContaining(`cause: ${code}`) });
});
