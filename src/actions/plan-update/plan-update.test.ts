import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type OsFiles, writeSmallOs } from "../../../test/small-os.ts";
import { noise } from "../../../test/test-layer.ts";
import { diffImages } from "../diff/diff-images.ts";
import { computeDigests } from "../digest/compute-digests.ts";
import { rechunkImage } from "../rechunk/rechunk-image.ts";
import { planUpdate } from "./plan-update.ts";

let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-plan-update-"));
  await writeSmallOs(layout("old"), { files: os });
  await writeSmallOs(layout("new"), { files: { ...os, ...changes } });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const at = (name: string): string => join(directory, name);
const layout = (name: string): string => `oci:${at(name)}:x`;

const library = noise(300_000, "library");
const changedLibrary = Buffer.concat([
  library.subarray(0, 100_000),
  Buffer.from("security fix"),
  library.subarray(100_000),
]);
const os: OsFiles = {
  "usr/lib/libone.so.1.2": library,
  "usr/lib/text": "the same text ".repeat(500),
  "usr/share/": "",
  "usr/share/words": "words ".repeat(2000),
  "var/": "",
  "var/lib/": "",
  "var/lib/dpkg/": "",
  "var/lib/dpkg/info/": "",
  "var/lib/dpkg/info/libone.list": "/usr/lib/libone.so.1.2\n/usr/lib/libone.so.1.3\n",
  "var/lib/dpkg/status": "Package: libone\nSource: one\nVersion: 1\n",
};
const changes: OsFiles = {
  "usr/lib/libone.so.1.2": null,
  "usr/lib/libone.so.1.3": changedLibrary,
  "usr/share/words": "words ".repeat(2001),
  "usr/share/new": noise(10_000, "new"),
  "usr/share/copy-of-new": noise(10_000, "new"),
};

test("planUpdate() tells what a host fetches in each way, and why", async () => {
  const report = await planUpdate(layout("old"), layout("new"));
  expect(report.layers).toMatchObject({ total: { count: 1 }, fetched: { count: 1 } });
  expect(report.layers?.fetched.size).toBe(report.to.layerSize);
  expect(report.files.map(({ base, component, path }) => ({ path, component, base }))).toEqual([
    { path: "/usr/share/copy-of-new", component: "tree/usr/share", base: null },
    { path: "/usr/lib/libone.so.1.3", component: "dpkg/one", base: "/usr/lib/libone.so.1.2" },
    { path: "/usr/share/words", component: "tree/usr/share", base: "/usr/share/words" },
  ]);
  const [fresh, fixed, words] = report.files;
  expect(fresh).toMatchObject({ size: 10_000, delta: fresh?.compressed });
  expect(fresh?.compressed).toBe(zstdCompressSync(noise(10_000, "new")).length);
  expect(fixed).toMatchObject({ size: changedLibrary.length });
  expect(fixed?.delta).toBeLessThan(2000);
  expect(words?.delta).toBeLessThan(60);
  const total = (key: "size" | "compressed" | "delta") => report.files.reduce((sum, file) => sum + (file[key] ?? 0), 0);
  expect(report.objects).toMatchObject({ fetched: { count: 3, size: total("size") }, compressed: total("compressed") });
  expect(report.deltas).toEqual({ size: total("delta"), based: 2 });
  expect(report.components.map(({ files, name }) => [name, files])).toEqual([
    ["tree/usr/share", 2],
    ["dpkg/one", 1],
  ]);
  expect(report.metadata?.delta).toBeLessThan(report.metadata?.size ?? 0);
  expect(report.notes).toEqual([]);
});

test("planUpdate() counts layers and objects as a comparison does", async () => {
  const [plan, { fetch }] = [
    await planUpdate(layout("old"), layout("new")),
    await diffImages(layout("old"), layout("new")),
  ];
  expect(plan.objects.fetched).toEqual(fetch.objects.fetched);
  expect(plan.objects.total).toEqual(fetch.objects.total);
  expect(plan.layers?.fetched).toEqual(fetch.layers?.fetched);
});

test("planUpdate() of an image to itself costs nothing", async () => {
  const report = await planUpdate(layout("old"), layout("old"), { rechunked: true });
  expect(report.layers?.fetched).toEqual({ count: 0, size: 0 });
  expect(report.rechunked?.fetched).toEqual({ count: 0, size: 0 });
  expect(report).toMatchObject({ deltas: { size: 0 }, objects: { compressed: 0 }, files: [], components: [] });
});

test("planUpdate() tells of layers what rechunking both really gives", async () => {
  const { rechunked } = await planUpdate(layout("old"), layout("new"), { rechunked: true });
  const before = await rechunkImage(layout("old"), { to: layout("old-cut") });
  const after = await rechunkImage(layout("new"), { to: layout("new-cut"), previous: [layout("old-cut")] });
  const held = new Set(before.layers.map(({ digest }) => digest));
  const fetched = after.layers.filter(({ digest }) => !held.has(digest));
  expect(rechunked).toEqual({
    layers: after.layers.length,
    fetched: { count: fetched.length, size: fetched.reduce((sum, { size }) => sum + size, 0) },
  });
  const plan = await planUpdate(layout("old-cut"), layout("new-cut"), { noDeltas: true });
  expect(plan.layers?.fetched).toEqual(rechunked?.fetched);
});

test("planUpdate() reads no contents when it is told so", async () => {
  const report = await planUpdate(layout("old"), layout("new"), { noDeltas: true });
  expect(report).toMatchObject({ deltas: null, objects: { compressed: null }, metadata: { delta: null } });
  expect(report.files[0]).toMatchObject({ path: "/usr/lib/libone.so.1.3", delta: null, base: null });
});

test("planUpdate() takes a directory, and a dump as far as it goes", async () => {
  const root = at("rootfs");
  mkdirSync(join(root, "usr/lib"), { recursive: true });
  writeFileSync(join(root, "usr/lib/libone.so.1.3"), changedLibrary);
  const toDirectory = await planUpdate(layout("old"), `dir:${root}`);
  expect(toDirectory).toMatchObject({ layers: null, metadata: null, objects: { fetched: { count: 1 } } });
  expect(toDirectory.deltas?.size).toBeLessThan(2000);
  const back = await planUpdate(`dir:${root}`, layout("old"));
  expect(back.files.find(({ path }) => path.includes("libone"))?.delta).toBeLessThan(2000);

  await computeDigests(layout("new"), { dumpfile: at("new.dump") });
  const toDump = await planUpdate(layout("old"), `dump:${at("new.dump")}`);
  expect(toDump).toMatchObject({ deltas: null, notes: [{ code: "plan-update.contents-missing" }] });
  expect(toDump.objects.fetched.count).toBe(3);
});

test("planUpdate() refuses digests of two algorithms, and to cut what is no image", async () => {
  await computeDigests(layout("new"), { formats: "v1-sha256", dumpfile: at("sha256.dump") });
  await computeDigests(layout("new"), { formats: "v1-sha512", dumpfile: at("sha512.dump") });
  const [a, b] = ["sha256", "sha512"].map((name) => `dump:${at(`${name}.dump`)}`) as [string, string];
  await expect(planUpdate(a, b)).rejects.toMatchObject({ code: "plan-update.algorithms-differ" });
  await expect(planUpdate(layout("old"), b, { rechunked: true })).rejects.toMatchObject({
    code: "plan-update.not-images",
  });
  // The other side follows the one that has its digests already.
  await expect(planUpdate(layout("old"), a)).resolves.toMatchObject({ objects: { fetched: { count: 3 } } });
});
