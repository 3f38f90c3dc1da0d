import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { vector } from "../../../test/fixtures.ts";
import { layerOf, sha256 } from "../../../test/test-layer.ts";
import type { VerityAlgorithm } from "../../formats/fsverity/algorithm.ts";
import { openLayerCache } from "./cache.ts";
import { scanLayers } from "./scan.ts";

const scratch = mkdtempSync(join(tmpdir(), "cache-test-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const tar = readFileSync(vector("composefs/oci/basic.layer0.tar"));
const newLayer = () => layerOf(gzipSync(tar), "gzip", tar, { index: 3 });
const algorithms: VerityAlgorithm[] = ["sha512", "sha256"];
let directories = 0;

async function filled() {
  const directory = join(scratch, `cache-${directories++}`);
  const cache = await openLayerCache(directory);
  const [record] = await scanLayers([newLayer()], { algorithms, cache });
  const [name] = readdirSync(directory) as [string];
  return { directory, cache, record, path: join(directory, name) };
}

test("scanLayers() does not read a layer that the cache holds", async () => {
  const { cache, record } = await filled();
  const layer = newLayer();
  expect(await scanLayers([layer], { algorithms, cache })).toEqual([record]);
  expect(layer.read()).toBe(0);
});

test("scanLayers() reads it all the same when blobs are to be verified", async () => {
  const { cache, record } = await filled();
  const layer = newLayer();
  expect(await scanLayers([layer], { algorithms, cache, verifyBlobs: true })).toEqual([record]);
  expect(layer.read()).toBe(layer.size);
});

test("load() gives origins the index that it is asked for", async () => {
  const { cache } = await filled();
  const record = await cache.load(sha256(tar), algorithms, 9);
  const origins = record?.entries.flatMap((entry) =>
    entry.kind === "file" && entry.content.kind === "external" ? [entry.content.origin] : [],
  );
  expect(origins?.length).toBeGreaterThan(0);
  expect(origins?.every((origin) => origin?.kind === "layer" && origin.layer === 9)).toBe(true);
});

test("load() does not mind the order of algorithms, and tells apart their sets, layers and names", async () => {
  const { cache } = await filled();
  expect(await cache.load(sha256(tar), ["sha256", "sha512"], 0)).toBeDefined();
  expect(await cache.load(sha256(tar), ["sha256"], 0)).toBeUndefined();
  expect(await cache.load(sha256(Buffer.alloc(1)), algorithms, 0)).toBeUndefined();
});

test("store() leaves one file of mode 0600 in a directory of mode 0700", async () => {
  const { directory, path } = await filled();
  expect(readdirSync(directory)).toHaveLength(1);
  expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
  expect((statSync(directory).mode & 0o777).toString(8)).toBe("700");
});

test.each<[string, (bytes: Buffer) => Buffer]>([
  ["emptied", () => Buffer.alloc(0)],
  ["cut in the middle", (bytes) => bytes.subarray(0, bytes.length >> 1)],
  ["without its checksum", (bytes) => bytes.subarray(0, -65)],
  ["with one bit changed", (bytes) => bytes.fill((bytes[200] as number) ^ 1, 200, 201)],
  ["with one digit of the checksum changed", (bytes) => bytes.fill("x", bytes.length - 5, bytes.length - 4)],
  ["not ours", () => Buffer.from("hello\n".repeat(100))],
])("scanLayers() reads the layer and writes the record again when it was %s", async (_, damage) => {
  const { cache, record, path } = await filled();
  const sound = readFileSync(path);
  writeFileSync(path, damage(Buffer.from(sound)));
  const layer = newLayer();
  expect(await scanLayers([layer], { algorithms, cache })).toEqual([record]);
  expect(layer.read()).toBe(layer.size);
  expect(readFileSync(path).equals(sound)).toBe(true);
});

test("load() ignores a sound record of another layer under its name", async () => {
  const one = await filled();
  const other = sha256(Buffer.from("other"));
  await one.cache.store(other, algorithms, { entries: [], size: 0 });
  writeFileSync(
    one.path,
    readFileSync(
      join(one.directory, readdirSync(one.directory).find((name) => name.includes(other.slice(7))) as string),
    ),
  );
  expect(await one.cache.load(sha256(tar), algorithms, 0)).toBeUndefined();
});

test("openLayerCache() and store() refuse a place where nothing can be written", async () => {
  const file = join(scratch, "file");
  writeFileSync(file, "");
  await expect(openLayerCache(file)).rejects.toMatchObject({ code: "cache.directory-unusable" });
  const { cache, directory } = await filled();
  rmSync(directory, { recursive: true });
  await expect(cache.store(sha256(tar), algorithms, { entries: [], size: 0 })).rejects.toMatchObject({
    code: "cache.write-failed",
  });
  chmodSync(file, 0o600);
});
