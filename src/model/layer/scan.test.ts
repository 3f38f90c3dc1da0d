import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { layerOf, noise, packings, sha256, tarOf } from "../../../test/test-layer.ts";
import { computeFsverityDigest } from "../../formats/fsverity/index.ts";
import type { BlobDigest } from "../../formats/oci/digest.ts";
import { encodeTarEntry, TAR_END } from "../../formats/tar/index.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import type { ProgressEvent } from "../../lib/progress.ts";
import type { Content } from "../tree/tree.ts";
import type { LayerRecord } from "./entry.ts";
import { scanLayers } from "./scan.ts";
import { openVerityPool } from "./verity-pool.ts";

const scratch = mkdtempSync(join(tmpdir(), "scan-test-"));
let pool: WorkerPool;
beforeAll(() => {
  pool = openVerityPool(2);
});
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

const both = { algorithms: ["sha256", "sha512"] as const };
const scan = async (...layers: Parameters<typeof scanLayers>[0]): Promise<LayerRecord[]> =>
  scanLayers(layers, { ...both, pool });

function fileOf(bytes: Uint8Array, name: string): { path: string; offset: number; size: number } {
  const path = join(scratch, name);
  writeFileSync(path, Buffer.concat([Buffer.from("before"), bytes, Buffer.from("after")]));
  return { path, offset: 6, size: bytes.length };
}

const contentOf = (record: LayerRecord | undefined, path: string): Content => {
  const entry = record?.entries.find((each) => each.path === path);
  if (entry?.kind !== "file") throw new Error(`no file ${path}`);
  return entry.content;
};

/** Sizes around every boundary: inline, block, slot, several slots, levels of the tree. */
const sizes = [0, 1, 64, 65, 511, 512, 4095, 4096, 4097, 100_000, 524_288, 524_289, 1 << 20, (1 << 20) + 1, 5_000_001];
const contents = Object.fromEntries(sizes.map((size) => [`f${size}`, noise(size, "c")]));
const tar = tarOf(contents);

describe("scanLayers", () => {
  test.each(Object.entries({ ...packings(tar), file: layerOf(tar, "none", tar, { file: fileOf(tar, "plain.tar") }) }))(
    "gives the digests, places and inline bytes of all contents: %s",
    async (_, layer) => {
      const [record] = await scan(layer);
      expect(record?.size).toBe(tar.length);
      for (const size of sizes) {
        const bytes = contents[`f${size}`] as Buffer;
        const content = contentOf(record, `f${size}`);
        if (size <= 64) {
          expect(content).toEqual({ kind: "inline", bytes: new Uint8Array(bytes) });
          continue;
        }
        if (content.kind !== "external" || content.origin?.kind !== "layer") throw new Error("not external");
        expect(content.size).toBe(BigInt(size));
        for (const algorithm of both.algorithms) {
          expect(toHex(content.digests[algorithm] as Uint8Array), `${size} ${algorithm}`).toBe(
            toHex(computeFsverityDigest(bytes, algorithm)),
          );
        }
        const { offset } = content.origin;
        expect(tar.subarray(offset, offset + size).equals(bytes)).toBe(true);
      }
    },
  );

  test("gives the digests that fsverity gives", async () => {
    const [record] = await scan(layerOf(gzipSync(tar), "gzip", tar));
    for (const size of [65, 4097, 524_289, 5_000_001]) {
      const path = join(scratch, "content");
      writeFileSync(path, contents[`f${size}`] as Buffer);
      for (const algorithm of both.algorithms) {
        const theirs = execFileSync("fsverity", ["digest", "--compact", `--hash-alg=${algorithm}`, path], {
          encoding: "utf8",
        }).trim();
        const content = contentOf(record, `f${size}`);
        expect(content.kind === "external" && toHex(content.digests[algorithm] as Uint8Array)).toBe(theirs);
      }
    }
  });

  test.each(["basic", "hardlinks", "mtimes", "paths", "types", "layers", "selinux-boot"])(
    "reads the fixture %s alike in all packings",
    async (name) => {
      const bytes = readFileSync(vector(`composefs/oci/${name}.layer0.tar`));
      const records = await scan(...Object.values(packings(bytes)));
      expect(records[0]?.entries.length).toBeGreaterThan(2);
      for (const record of records) expect(record).toEqual(records[0]);
    },
  );

  test("keeps the order of layers and names each in its origins", async () => {
    const layers = [3000, 900_000, 100].map((size, index) => {
      const one = tarOf({ f: noise(size) });
      return layerOf(gzipSync(one), "gzip", one, { index });
    });
    const records = await scan(...layers);
    expect(records.map((record) => contentOf(record, "f"))).toMatchObject([
      { size: 3000n, origin: { layer: 0 } },
      { size: 900_000n, origin: { layer: 1 } },
      { size: 100n, origin: { layer: 2 } },
    ]);
  });

  test("computes only the algorithms asked for", async () => {
    const [record] = await scanLayers([layerOf(tar, "none", tar)], { algorithms: ["sha512"], pool });
    expect(contentOf(record, "f4096")).toMatchObject({ digests: { sha512: expect.any(Uint8Array) } });
    expect(contentOf(record, "f4096")).not.toHaveProperty("digests.sha256");
  });

  test("starts workers of its own when it is given none", async () => {
    const [record] = await scanLayers([layerOf(tar, "none", tar)], both);
    expect(record?.entries).toHaveLength(sizes.length);
  });

  test("reports progress up to the stored size of all layers", async () => {
    const events: ProgressEvent[] = [];
    const layers = [layerOf(gzipSync(tar), "gzip", tar), layerOf(tar, "none", tar, { index: 1 })];
    await scanLayers(layers, { ...both, pool, progress: (event) => events.push(event) });
    const total = layers.reduce((sum, { size }) => sum + size, 0);
    expect(events.at(-1)).toMatchObject({ step: "layers.read", done: total, total });
  });

  const wrong = sha256(Buffer.from("something else"));
  const sha512Name = `sha512:${"0".repeat(128)}` as BlobDigest;
  const gz = gzipSync(tar);
  const zst = zstdCompressSync(tar);
  const device = Buffer.concat([
    encodeTarEntry({
      path: byteString("d"),
      kind: "char",
      major: 4096,
      minor: 0,
      mode: 0,
      uid: 0,
      gid: 0,
      mtimeSec: 0n,
      mtimeNsec: 0,
      xattrs: new Map(),
    }),
    TAR_END,
  ]);
  const declared = encodeTarEntry({
    path: byteString("big"),
    kind: "file",
    size: 100e9,
    mode: 0,
    uid: 0,
    gid: 0,
    mtimeSec: 0n,
    mtimeNsec: 0,
    xattrs: new Map(),
  });
  test.each([
    ["layer.blob-digest-mismatch", layerOf(tar, "none", tar, { digest: wrong })],
    ["layer.blob-digest-mismatch", layerOf(gz, "gzip", tar, { digest: wrong })],
    ["layer.blob-digest-mismatch", layerOf(zst, "zstd", tar, { digest: sha512Name })],
    ["layer.blob-digest-mismatch", layerOf(tar, "none", tar, { digest: sha512Name })],
    ["layer.diff-id-mismatch", layerOf(tar, "none", tar, { diffId: wrong })],
    ["layer.diff-id-mismatch", layerOf(gz, "gzip", tar, { diffId: wrong })],
    ["layer.diff-id-mismatch", layerOf(zst, "zstd", tar, { diffId: sha512Name })],
    ["layer.blob-size-mismatch", layerOf(tar, "none", tar, { size: tar.length - 1 })],
    ["layer.blob-size-mismatch", layerOf(gz, "gzip", tar, { size: gz.length - 1 })],
    ["layer.blob-size-mismatch", layerOf(gz, "gzip", tar, { size: gz.length + 1 })],
    ["layer.blob-size-mismatch", layerOf(tar, "none", tar, { file: { ...fileOf(tar, "short"), size: 1000 } })],
    [
      "file.truncated",
      layerOf(tar, "none", tar, { file: { ...fileOf(tar.subarray(0, -3_000_000), "cut"), size: tar.length } }),
    ],
    ["gzip.truncated", layerOf(gz.subarray(0, -9), "gzip", tar)],
    ["zstd.truncated", layerOf(zst.subarray(0, -9), "zstd", tar)],
    ["zstd.magic-unknown", layerOf(gz, "zstd", tar)],
    ["gzip.corrupt", layerOf(zst, "gzip", tar)],
    ["tar.archive.truncated", layerOf(tar.subarray(0, -2000), "none", tar.subarray(0, -2000))],
    ["tar.archive.truncated", layerOf(declared, "none", declared)],
    ["tar.archive.truncated", layerOf(declared, "none", declared, { file: fileOf(declared, "declared") })],
    ["tar.archive.truncated", layerOf(zstdCompressSync(declared), "zstd", declared)],
    ["layer.device.too-large", layerOf(device, "none", device)],
  ])("refuses: %s (%#)", async (code, layer) => {
    expect(await codeOfAsync(() => scan(layer))).toBe(code);
    // The pool and the other layers are not harmed.
    expect(await codeOfAsync(() => scan(layerOf(tar, "none", tar), layer, layerOf(gz, "gzip", tar)))).toBe(code);
    expect(await codeOfAsync(() => scan(layerOf(gz, "gzip", tar)))).toBe("accepted");
  });

  test("names the layer in what it refuses", async () => {
    await expect(scan(layerOf(gz, "gzip", tar, { diffId: wrong, index: 7 }))).rejects.toThrow(/^layer 7 \(sha256:/);
  });

  test("stops when the signal aborts", async () => {
    const stop = new AbortController();
    const work = scanLayers([layerOf(gz, "gzip", tar)], {
      ...both,
      pool,
      signal: stop.signal,
      progress: () => stop.abort(),
    });
    expect(await codeOfAsync(() => work)).toBe("interrupted");
  });

  test("holds no more than its slots, however large a content is", async () => {
    const block = Buffer.alloc(1 << 20, 7);
    const header = encodeTarEntry({
      path: byteString("big"),
      kind: "file",
      size: 600 << 20,
      mode: 0,
      uid: 0,
      gid: 0,
      mtimeSec: 0n,
      mtimeNsec: 0,
      xattrs: new Map(),
    });
    async function* open(): AsyncGenerator<Uint8Array> {
      yield header;
      for (let index = 0; index < 600; index++) yield block;
      yield TAR_END;
    }
    const size = header.length + (600 << 20) + TAR_END.length;
    const before = process.memoryUsage.rss();
    let peak = 0;
    const progress = (): void => {
      peak = Math.max(peak, process.memoryUsage.rss());
    };
    const layer = { ...layerOf(block, "none", block), size, open };
    expect(await codeOfAsync(() => scanLayers([layer], { algorithms: ["sha256"], pool, progress }))).toBe(
      "layer.blob-digest-mismatch",
    );
    expect(peak - before).toBeLessThan(150 << 20);
  });
});
