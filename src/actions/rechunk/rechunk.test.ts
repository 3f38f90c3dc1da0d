import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { showTree } from "../../../test/layers.ts";
import { randomLayers } from "../../../test/random-layers.ts";
import { type OsFiles, writeSmallOs } from "../../../test/small-os.ts";
import { encodeLayer, writeImageOf } from "../../../test/write-layers.ts";
import type { Compression } from "../../formats/oci/index.ts";
import { openImage } from "../../model/image/open-image.ts";
import { readImage } from "../../model/source/tree-source.ts";
import { lookup } from "../../model/tree/tree.ts";
import { computeDigests } from "../digest/compute-digests.ts";
import { sealImage } from "../seal/seal-image.ts";
import { verifyImage } from "../verify/verify-image.ts";
import { rechunkImage } from "./rechunk-image.ts";

const NOW = new Date("2026-06-01T00:00:00Z");

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-rechunk-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const at = (name: string): string => join(directory, name);
const layout = (name: string): string => `oci:${at(name)}:x`;

const treeOf = async (reference: string) => {
  await using source = await readImage(await openImage(reference), { algorithms: ["sha256"] });
  return source.tree;
};

/** Maps in order and large numbers, for JSON. */
function plainly(_: string, value: unknown): unknown {
  if (value instanceof Map) return [...(value as Map<string, string>)].sort(([a], [b]) => (a < b ? -1 : 1));
  return typeof value === "bigint" ? String(value) : value;
}

/** An OS with some packages, so that there is something to pack. */
const packages: OsFiles = Object.fromEntries(
  Array.from({ length: 12 }, (_, index): [string, string][] => [
    [`usr/lib/p${index}`, `content of package ${index}, which is longer than what is stored inline `.repeat(index + 1)],
    [`var/lib/dpkg/info/p${index}.list`, `/usr\n/usr/lib\n/usr/lib/p${index}\n`],
  ]).flat(),
);
const status = Array.from({ length: 12 }, (_, index) => `Package: p${index}\nVersion: 1\nSource: s${index % 9}\n`);
const database: OsFiles = {
  "var/": "",
  "var/lib/": "",
  "var/lib/dpkg/": "",
  "var/lib/dpkg/info/": "",
  "var/lib/dpkg/status": status.join("\n"),
};
const os = { ...database, ...packages };

test.each(Array.from({ length: 12 }, (_, seed) => seed))(
  "rechunkImage() leaves the tree of random layers as it is, seed %i",
  async (seed) => {
    const layers = randomLayers(seed, { policy: seed % 3 === 0, bigDirectory: seed % 4 === 0 ? 300 : 0 });
    const [from, to] = [layout(`random-${seed}`), layout(`random-${seed}-cut`)];
    await writeImageOf(from, layers.map(encodeLayer));
    const compression = (["zstd", "gzip", "none"] as const)[seed % 3] as Compression;
    const report = await rechunkImage(from, { to, maxLayers: 1 + (seed % 7), compression });
    expect(report.layers.length).toBeLessThanOrEqual(1 + (seed % 7));
    const detail = (meta: object) => JSON.stringify(meta, plainly);
    const [before, after] = [await treeOf(from), await treeOf(to)].map((tree) => showTree(tree, detail));
    expect(after).toEqual(before);
    const formats = "all";
    const [expected, found] = [await computeDigests(from, { formats }), await computeDigests(to, { formats })];
    expect(found.digests).toEqual(expected.digests);
    expect(report.digest?.hex).toBe(expected.digests["v1-sha512"]);
  },
);

test("rechunkImage() gives each entry to one layer, what belongs together to the same", async () => {
  await writeSmallOs(layout("os"), { files: os });
  const report = await rechunkImage(layout("os"), { to: layout("cut") });
  expect(report.warnings).toEqual([]);
  const components = report.layers.flatMap((layer) => layer.components);
  expect(new Set(components).size).toBe(components.length);
  expect(components.filter((name) => name.startsWith("dpkg/"))).toHaveLength(9);
  expect(report.layers.at(-1)?.components).toEqual([]);
  await using image = await openImage(layout("cut"));
  expect(image.config.config?.Labels).toEqual({ "org.opencontainers.image.version": "1.2" });
  expect(image.config.created).toBe("2026-01-02T03:04:05Z");
  expect(image.config.rootfs.diff_ids).toEqual(report.layers.map(({ diffId }) => diffId));
  const history = image.config.history ?? [];
  expect(history[0]).toEqual({ created_by: "COPY layer 0", empty_layer: true });
  expect(history.filter((line) => line.empty_layer !== true)).toHaveLength(image.layers.length);
  expect(history.at(-1)?.comment).toBe("directories and /boot");
});

test.each<[Compression, number | undefined]>([
  ["zstd", undefined],
  ["gzip", 9],
  ["none", undefined],
])("rechunkImage() gives the same bytes again, with %s", async (compression, level) => {
  await writeSmallOs(layout("same"), { files: os });
  const options = { compression, level, maxLayers: 5 };
  const archives = ["a", "b"].map((name) => at(`${name}-${compression}.tar`));
  for (const path of archives) await rechunkImage(layout("same"), { ...options, to: `oci-archive:${path}:x` });
  const [a, b] = await Promise.all(archives.map((path) => readFile(path)));
  expect(b?.equals(a as Buffer)).toBe(true);
  // Cutting what was cut changes nothing, and no line of the history is added.
  await rechunkImage(`oci-archive:${archives[0]}`, { ...options, to: layout(`again-${compression}`) });
  await using first = await openImage(`oci-archive:${archives[0]}`);
  await using again = await openImage(layout(`again-${compression}`));
  expect(again.manifestDigest).toBe(first.manifestDigest);
});

test("rechunkImage() keeps the layers that an earlier build has, byte for byte, whatever packed them", async () => {
  await writeSmallOs(layout("one"), { files: os });
  await writeSmallOs(layout("two"), { files: { ...os, "usr/lib/p3": "changed ".repeat(50), "usr/lib/new": "new" } });
  const one = await rechunkImage(layout("one"), { to: layout("one-cut"), maxLayers: 8, compression: "gzip", level: 3 });
  const two = await rechunkImage(layout("two"), { to: layout("two-cut"), maxLayers: 8, previous: [layout("one-cut")] });
  const changed = two.layers.filter(({ digest }) => !one.layers.some((layer) => layer.digest === digest));
  const touched = changed.flatMap((layer) => layer.components);
  expect(touched).toContain("dpkg/s3");
  expect(touched).toContain("tree/usr/lib");
  expect(changed.length).toBeLessThanOrEqual(3);
  expect(two.previous).toMatchObject([{ layoutKept: true, shared: { count: two.layers.length - changed.length } }]);
  // The newest build tells the layout, all of them how often things change.
  const three = await rechunkImage(layout("two"), {
    to: layout("three-cut"),
    maxLayers: 8,
    previous: [layout("two-cut"), layout("one-cut")],
  });
  expect(three.layers.map(({ digest }) => digest)).toEqual(two.layers.map(({ digest }) => digest));
  expect(three.layers.every(({ reusedFrom }) => reusedFrom !== undefined)).toBe(true);
});

test("rechunkImage() takes no layout from an image that another tool cut, and packs anew when asked to", async () => {
  await writeSmallOs(layout("foreign"), { files: os });
  const foreign = await rechunkImage(layout("foreign"), { to: layout("from-foreign"), previous: [layout("foreign")] });
  expect(foreign.previous).toMatchObject([{ layoutKept: false }]);
  const repacked = await rechunkImage(layout("foreign"), {
    to: layout("repacked"),
    previous: [layout("from-foreign")],
    repack: true,
  });
  expect(repacked.previous).toMatchObject([{ layoutKept: false }]);
});

test("rechunkImage() packs with the compression that was asked for, though a build has the layer in another", async () => {
  await writeSmallOs(layout("packed"), { files: os });
  await rechunkImage(layout("packed"), { to: layout("packed-cut"), compression: "none" });
  const to = layout("packed-again");
  await rechunkImage(layout("packed"), { to, previous: [layout("packed-cut")], compression: "zstd" });
  await using image = await openImage(to);
  expect(new Set(image.layers.map((layer) => layer.compression))).toEqual(new Set(["zstd"]));
});

test("rechunkImage() keeps a Docker manifest one, with gzip", async () => {
  await writeSmallOs(layout("docker"), { files: os, family: "docker" });
  await rechunkImage(layout("docker"), { to: layout("docker-cut") });
  await using image = await openImage(layout("docker-cut"));
  expect(image.manifestMediaType).toContain("docker");
  expect(new Set(image.layers.map((layer) => layer.compression))).toEqual(new Set(["gzip"]));
  await expect(rechunkImage(layout("docker"), { to: layout("no"), compression: "zstd" })).rejects.toMatchObject({
    code: "oci.layer.media-type-unsupported",
  });
});

test("rechunkImage() keeps a seal valid, with the UKI in the last layer", async () => {
  await writeSmallOs(layout("unsealed"), { files: os });
  const certificate = at("db.crt");
  const keys = { ephemeralKeys: true, writeCertificateTo: certificate };
  const sealed = await sealImage(layout("unsealed"), { to: layout("sealed"), now: NOW, ...keys });
  const report = await rechunkImage(layout("sealed"), { to: layout("sealed-cut"), maxLayers: 6 });
  expect(report.digest?.hex).toBe(sealed.digest);
  const verdict = await verifyImage(layout("sealed-cut"), { certificates: [certificate], now: NOW });
  expect(verdict.holds).toBe(true);
  await using source = await readImage(await openImage(layout("sealed-cut")), { algorithms: ["sha512"] });
  const uki = lookup(source.tree, sealed.uki.path);
  expect(uki).toMatchObject({ content: { origin: { layer: source.image.layers.length - 1 } } });
});

test("rechunkImage() goes on from the layers below a seal", async () => {
  const keys = { ephemeralKeys: true, now: NOW };
  await writeSmallOs(layout("first"), { files: os });
  await writeSmallOs(layout("second"), { files: { ...os, "usr/lib/p3": "changed ".repeat(50) } });
  const first = await rechunkImage(layout("first"), { to: layout("first-cut"), maxLayers: 9 });
  await sealImage(layout("first-cut"), { to: layout("first-sealed"), ...keys });
  const second = await rechunkImage(layout("second"), {
    to: layout("second-cut"),
    maxLayers: 9,
    previous: [layout("first-sealed")],
  });
  const changed = second.layers.filter(({ digest }) => first.layers.every((layer) => layer.digest !== digest));
  expect(changed.map(({ components }) => components.includes("dpkg/s3"))).toEqual([true]);
});

test.each([
  ["rechunk.max-layers", { maxLayers: 0 }],
  ["rechunk.max-layers", { maxLayers: 501 }],
  ["rechunk.max-layers", { maxLayers: 1.5 }],
  ["rechunk.level", { level: 20 }],
  ["rechunk.level", { level: 10, compression: "gzip" }],
  ["rechunk.level", { level: 1, compression: "none" }],
  ["input.not-found", { previous: ["oci:/nowhere/at/all"] }],
] as const)("rechunkImage() refuses with %s, and leaves nothing: %j", async (code, options) => {
  await writeSmallOs(layout("refused"), { files: os });
  await expect(rechunkImage(layout("refused"), { to: layout("nothing"), ...options })).rejects.toMatchObject({ code });
  expect(await readdir(directory)).not.toContain("nothing");
});

test("rechunkImage() tells of a package database that it cannot read", async () => {
  await writeSmallOs(layout("broken"), { files: { ...os, "var/lib/dpkg/status": "nonsense\n" } });
  const report = await rechunkImage(layout("broken"), { to: layout("broken-cut") });
  expect(report.warnings).toMatchObject([{ code: "dpkg.status.line" }]);
});

test("rechunkImage() cuts an image that is no bootable OS", async () => {
  await writeImageOf(layout("plain"), randomLayers(3).map(encodeLayer).slice(0, 1));
  await writeSmallOs(layout("no-sysroot"), { files: { "sysroot/": null } });
  const report = await rechunkImage(layout("no-sysroot"), { to: layout("no-sysroot-cut") });
  expect(report.digest).toBeNull();
});
