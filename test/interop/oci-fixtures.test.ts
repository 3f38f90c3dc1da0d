import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { expect, test } from "vitest";
import type { VerityAlgorithm } from "../../src/formats/fsverity/algorithm.ts";
import { parseBlobDigest } from "../../src/formats/oci/digest.ts";
import { toHex } from "../../src/lib/bytes/numbers.ts";
import { SealwrightError } from "../../src/lib/errors.ts";
import { computeComposefsDigest, dumpTree, parseComposefsFormat } from "../../src/model/composefs/index.ts";
import type { Layer } from "../../src/model/image/image.ts";
import type { LayerRecord } from "../../src/model/layer/entry.ts";
import { scanLayers } from "../../src/model/layer/scan.ts";
import { treeFromLayers } from "../../src/model/tree/apply.ts";
import type { ReadContent } from "../../src/model/tree/label.ts";
import { toBootTree, toOciTree } from "../../src/model/tree/transform.ts";
import type { Tree } from "../../src/model/tree/tree.ts";
import { vector } from "../fixtures.ts";

/** What composefs-rs made of hand-made layers: digests and the tree as a dump, by mode, format and hash. */
interface OciVector {
  readonly name: string;
  readonly about: string;
  readonly layers: readonly string[];
  readonly results: Readonly<Record<Mode, Readonly<Record<string, string>> | "rejected">>;
}

type Mode = "plain" | "keep-user-xattrs" | "no-oci-transform" | "boot";

const vectors = JSON.parse(readFileSync(vector("composefs/expected-oci.json"), "utf8")) as OciVector[];
const cases = vectors.flatMap(({ name, layers, results }) =>
  (Object.keys(results) as Mode[]).map((mode) => ({ name, mode, layers, expected: results[mode] })),
);

function layerOf(name: string, index: number): Layer {
  const path = vector(`composefs/oci/${name}`);
  const bytes = readFileSync(path);
  const digest = parseBlobDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, name);
  return {
    index,
    digest,
    diffId: digest,
    size: bytes.length,
    mediaType: "application/vnd.oci.image.layer.v1.tar",
    compression: "none",
    file: { path, offset: 0, size: bytes.length },
    open: async function* () {
      yield bytes;
    },
  };
}

const scan = (names: readonly string[]): Promise<LayerRecord[]> =>
  scanLayers(names.map(layerOf), { algorithms: ["sha256", "sha512"] });

/** Reads content where the scan found it: in the uncompressed tar. */
function readerOf(names: readonly string[]): ReadContent {
  return async (content, path) => {
    if (content.kind !== "external" || content.origin?.kind !== "layer") throw new Error(`${path} has no origin`);
    await using file = await open(vector(`composefs/oci/${names[content.origin.layer]}`));
    const bytes = new Uint8Array(Number(content.size));
    await file.read(bytes, 0, bytes.length, content.origin.offset);
    return bytes;
  };
}

async function treeIn(mode: Mode, names: readonly string[]): Promise<Tree> {
  const tree = treeFromLayers(await scan(names));
  if (mode === "no-oci-transform") return tree;
  toOciTree(tree, { keepUserXattrs: mode === "keep-user-xattrs" });
  if (mode === "boot") await toBootTree(tree, readerOf(names));
  return tree;
}

/** A tree serves both hashes, so one road is gone for all digests of a mode. */
test.each(cases)("$name, $mode: layers become the tree and the digests of composefs-rs", async (one) => {
  const { mode, layers, expected } = one;
  if (expected === "rejected") {
    await expect(treeIn(mode, layers)).rejects.toThrow(SealwrightError);
    return;
  }
  const tree = await treeIn(mode, layers);
  for (const hash of ["sha256", "sha512"] satisfies VerityAlgorithm[]) {
    const dump = readFileSync(vector(`composefs/oci/${expected[`dump ${hash}`]}`), "latin1");
    expect(Buffer.concat([...dumpTree(tree, hash)]).toString("latin1")).toBe(dump);
    for (const version of [1, 2]) {
      const digest = toHex(computeComposefsDigest(tree, parseComposefsFormat(`v${version}-${hash}`)));
      expect(digest).toBe(expected[`V${version} ${hash}`]);
    }
  }
});

test.each([
  ["err-missing-parent", "tree.parent-missing"],
  ["err-no-usr", "tree.usr-missing"],
  ["err-dotdot", "tree.path-dotdot"],
  ["err-through-symlink", "tree.parent-not-directory"],
  ["err-hardlink-missing", "tree.hardlink-target-missing"],
  ["err-hardlink-dir", "tree.hardlink-target-directory"],
])("%s is refused with %s", async (name, code) => {
  const { layers } = vectors.find((one) => one.name === name) as OciVector;
  await expect(treeIn("plain", layers)).rejects.toMatchObject({ code });
});

test("err-boot-no-sysroot is refused as a boot tree only", async () => {
  const { layers } = vectors.find((one) => one.name === "err-boot-no-sysroot") as OciVector;
  await expect(treeIn("boot", layers)).rejects.toMatchObject({ code: "tree.sysroot-missing" });
});
