import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { layerOf, noise, packings, tarOf } from "../../../test/test-layer.ts";
import { computeFsverityDigest } from "../../formats/fsverity/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import type { Layer } from "../image/image.ts";
import type { Content } from "../tree/tree.ts";
import { readContents } from "./contents.ts";
import { scanLayers } from "./scan.ts";

const scratch = mkdtempSync(join(tmpdir(), "contents-test-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const files = { small: noise(10, "s"), a: noise(70_000, "a"), b: noise(300_000, "b"), tail: noise(3_000_000, "t") };
const tar = tarOf(files);
const path = join(scratch, "layer.tar");
writeFileSync(path, Buffer.concat([Buffer.alloc(99), tar]));

async function contentsOf(layer: Layer): Promise<Map<ByteString, Content>> {
  const [record] = await scanLayers([layer], { algorithms: ["sha256", "sha512"] });
  return new Map(record?.entries.flatMap((entry) => (entry.kind === "file" ? [[entry.path, entry.content]] : [])));
}
const known = await contentsOf(layerOf(tar, "none", tar));
const pick = (...names: (keyof typeof files)[]): Content[] =>
  names.map((name) => known.get(byteString(name)) as Content);

const options = { maxSize: 1 << 30 };

test.each(
  Object.entries({
    ...packings(tar),
    file: layerOf(tar, "none", tar, { file: { path, offset: 99, size: tar.length } }),
  }),
)("readContents() gives the bytes in the order asked for: %s", async (_, layer) => {
  const found = await readContents({ layers: [layer] }, pick("b", "small", "a", "b", "tail"), options);
  const expected = [files.b, files.small, files.a, files.b, files.tail];
  expect(found.map((bytes, index) => expected[index]?.equals(bytes))).toEqual([true, true, true, true, true]);
});

test("readContents() stops reading a layer once it has everything", async () => {
  const layer = layerOf(gzipSync(tar), "gzip", tar);
  await readContents({ layers: [layer] }, pick("a"), options);
  expect(layer.read()).toBeLessThan(layer.size / 2);
});

test("readContents() reads files by their path, text or bytes", async () => {
  const name = Buffer.concat([Buffer.from(`${scratch}/`), Buffer.from([0x66, 0xff])]);
  writeFileSync(name, files.a);
  const digests = { sha512: computeFsverityDigest(files.a, "sha512") };
  const content: Content = { kind: "external", size: 70_000n, digests, origin: { kind: "path", path: name } };
  expect(files.a.equals((await readContents({ layers: [] }, [content], options))[0] as Uint8Array)).toBe(true);
});

const layers = [layerOf(gzipSync(tar), "gzip", tar)];
const [a] = pick("a") as [Extract<Content, { kind: "external" }>];
const moved = (offset: number): Content => ({ ...a, origin: { kind: "layer", layer: 0, offset } });
test.each<[string, Content, number, readonly Layer[]]>([
  ["content.too-large", a, 69_999, layers],
  ["content.too-large", { ...a, size: 10n ** 15n }, 1 << 30, layers],
  ["content.not-here", { kind: "sparse", size: 5n }, 100, layers],
  ["content.not-here", { kind: "external", size: 5n, digests: {} }, 100, layers],
  ["content.not-here", a, 1 << 20, []],
  ["content.digest-mismatch", moved(0), 1 << 20, layers],
  ["content.digest-mismatch", { ...a, digests: { ...a.digests, sha256: new Uint8Array(32) } }, 1 << 20, layers],
  ["content.digest-missing", { ...a, digests: {} }, 1 << 20, layers],
  ["content.truncated", moved(tar.length), 1 << 20, layers],
  [
    "file.truncated",
    { ...a, origin: { kind: "path", path: join(scratch, "layer.tar") }, size: 10n ** 7n },
    1 << 30,
    layers,
  ],
])("readContents() refuses: %s (%#)", async (code, content, maxSize, inLayers) => {
  expect(await codeOfAsync(() => readContents({ layers: inLayers }, [content], { maxSize }))).toBe(code);
});
