import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { layerOf, noise, packings, sha256, tarOf } from "../../../test/test-layer.ts";
import { collect } from "../../lib/streams/pull.ts";
import type { Image, Layer } from "../image/image.ts";
import { readImage } from "../source/tree-source.ts";
import { type Content, lookup } from "../tree/tree.ts";
import { openPlainLayers } from "./plain-layers.ts";

const files = {
  small: Buffer.from("small"),
  middle: noise(3000),
  large: noise(700_000, "large"),
  empty: Buffer.alloc(0),
};
const tar = tarOf(files);

const imageOf = (layers: readonly Layer[]): Image & { closed: () => number } => {
  let closed = 0;
  const close = (): Promise<void> => Promise.resolve(void closed++);
  const all = layers.map((layer, index) => ({ ...layer, index }));
  return { name: "test", layers: all, closed: () => closed, [Symbol.asyncDispose]: close } as unknown as Image & {
    closed: () => number;
  };
};

/** A place for temporary files that nobody else uses. */
const usual = process.env["TMPDIR"];
let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), "plain-layers-"));
  process.env["TMPDIR"] = place;
});
afterAll(() => {
  rmSync(place, { recursive: true });
  if (usual === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = usual;
});

test.each(Object.entries(packings(tar)))("openPlainLayers() reads any content of a layer, %s", async (_, layer) => {
  await using plain = await openPlainLayers(imageOf([layer]));
  await using source = await readImage(
    { ...plain, [Symbol.asyncDispose]: () => Promise.resolve() },
    { algorithms: ["sha256"] },
  );
  const reader = plain.contents.open();
  for (const name of ["large", "small", "middle", "empty", "large"] as const) {
    const node = lookup(source.tree, name) as { content: Content };
    expect(Buffer.compare(await collect(reader.stream(node.content), 1 << 20), files[name])).toBe(0);
  }
});

test("openPlainLayers() leaves nothing behind, and closes the image", async () => {
  const image = imageOf([layerOf(tar, "none", tar)]);
  {
    await using plain = await openPlainLayers(image);
    expect(readdirSync(place)).toHaveLength(1);
    expect(plain.layers[0]?.file?.size).toBe(tar.length);
  }
  expect(readdirSync(place)).toEqual([]);
  expect(image.closed()).toBe(1);
});

test.each<[string, Partial<Layer>]>([
  ["blob.digest-mismatch", { digest: sha256(Buffer.from("other")) }],
  ["blob.size-mismatch", { size: 17 }],
  ["layer.diff-id-mismatch", { diffId: sha256(Buffer.from("other")) }],
])("openPlainLayers() refuses with %s, closes the image and cleans up", async (code, wrong) => {
  const image = imageOf([layerOf(tar, "none", tar), layerOf(tar, "none", tar, wrong)]);
  await expect(openPlainLayers(image)).rejects.toMatchObject({ code });
  expect(readdirSync(place)).toEqual([]);
  expect(image.closed()).toBe(1);
});

test("stream() gives parts of a content", async () => {
  await using plain = await openPlainLayers(imageOf([layerOf(tar, "none", tar)]));
  const content: Content = {
    kind: "external",
    size: BigInt(tar.length),
    digests: {},
    origin: { kind: "layer", layer: 0, offset: 0 },
  };
  const part = async (from?: number, to?: number) => collect(plain.contents.open().stream(content, from, to), 1 << 20);
  for (const [from, to] of [
    [0, 1],
    [511, 513],
    [300_000, 600_000],
    [tar.length - 1, tar.length + 9],
    [7, 7],
  ] as const) {
    expect(Buffer.compare(await part(from, to), tar.subarray(from, to))).toBe(0);
  }
  expect(Buffer.compare(await part(), tar)).toBe(0);
});

test("openPlainLayers() unpacks only the layers that are wanted", async () => {
  const image = imageOf([layerOf(tar, "none", tar), layerOf(tar, "none", tar)]);
  await using plain = await openPlainLayers(image, { only: new Set([1]) });
  expect(plain.layers.map(({ file }) => file?.size)).toEqual([undefined, tar.length]);
});

test("stream() refuses content that is not in the layers", async () => {
  await using plain = await openPlainLayers(imageOf([layerOf(tar, "none", tar)]));
  const reader = plain.contents.open();
  const wanted: Content[] = [
    { kind: "sparse", size: 1n },
    { kind: "external", size: 1n, digests: {} },
    { kind: "external", size: 1n, digests: {}, origin: { kind: "layer", layer: 7, offset: 0 } },
  ];
  for (const content of wanted) {
    await expect(collect(reader.stream(content), 10)).rejects.toMatchObject({ code: "content.not-here" });
  }
});
