import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { computeDigests } from "../../src/actions/digest/compute-digests.ts";
import { toHex } from "../../src/lib/bytes/numbers.ts";
import { SealwrightError } from "../../src/lib/errors.ts";
import type { WorkerPool } from "../../src/lib/hash/worker-pool.ts";
import { computeComposefsDigest, parseComposefsFormat } from "../../src/model/composefs/index.ts";
import { scanLayers } from "../../src/model/layer/scan.ts";
import { openVerityPool } from "../../src/model/layer/verity-pool.ts";
import { treeFromLayers } from "../../src/model/tree/apply.ts";
import { toOciTree } from "../../src/model/tree/transform.ts";
import { vector } from "../fixtures.ts";
import { BASE_LAYER, ODD_LAYERS } from "../odd-layers.ts";
import { randomLayers } from "../random-layers.ts";
import { layerOf } from "../test-layer.ts";
import { mkcomposefs } from "../tools/composefs.ts";
import { encodeLayer, writeImageOf } from "../write-layers.ts";

/** What composefs-rs 0.9.0 (cfsctl) said about each odd layer, and the code that we refuse it with. */
interface Verdict {
  readonly name: string;
  /** The digest of the tree in V1 with SHA-256, or `refused`. */
  readonly "composefs-rs": string;
  readonly refused?: string;
}

const verdicts = JSON.parse(readFileSync(vector("composefs/odd-layers.json"), "utf8")) as Verdict[];

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "layer-stacks-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

async function digestOrCode(tars: readonly Uint8Array[], pool: WorkerPool): Promise<string> {
  const layers = tars.map((tar, index) => layerOf(tar, "none", tar, { index }));
  try {
    const tree = toOciTree(treeFromLayers(await scanLayers(layers, { algorithms: ["sha256"], pool })));
    return toHex(computeComposefsDigest(tree, parseComposefsFormat("v1-sha256")));
  } catch (error) {
    if (error instanceof SealwrightError) return error.code;
    throw error;
  }
}

test("every odd layer has a verdict", () => {
  expect(verdicts.map(({ name }) => name)).toEqual(ODD_LAYERS.map(({ name }) => name));
});

test("odd layers are refused, or have the digest of composefs-rs", async () => {
  await using pool = openVerityPool();
  const found: string[] = [];
  for (const { name, tar } of ODD_LAYERS) found.push(`${name}: ${await digestOrCode([BASE_LAYER, tar], pool)}`);
  expect(found).toEqual(verdicts.map(({ name, refused, ...by }) => `${name}: ${refused ?? by["composefs-rs"]}`));
});

test("nothing passes that composefs-rs refuses", () => {
  expect(verdicts.filter(({ refused, ...by }) => by["composefs-rs"] === "refused" && refused === undefined)).toEqual(
    [],
  );
});

/** Refused although composefs-rs takes it, in the words of docs/format/composefs-image.md. */
const STRICTER: Readonly<Record<string, readonly string[]>> = {
  "tools disagree on what follows": [
    "tar.entry.content-unexpected",
    "tar.archive.lone-zero-block",
    "tar.extension.orphaned",
  ],
  "the image could not be read": [
    "tar.entry.name-has-nul",
    "tar.entry.target-empty",
    "tar.xattr.name-empty",
    "erofs.name.length",
    "erofs.xattr.value-size",
    "composefs.symlink.target-length",
  ],
  "composefs-rs wraps the number": ["tar.number.too-large", "tar.number.negative"],
  "composefs-rs passes over what it cannot read": ["tar.pax.malformed", "tar.sparse.unsupported"],
};

test("what is refused although composefs-rs takes it has one of the documented causes", () => {
  const codes = verdicts
    .filter(({ refused, ...by }) => refused !== undefined && by["composefs-rs"] !== "refused")
    .map(({ refused }) => refused);
  expect(new Set(codes)).toEqual(new Set(Object.values(STRICTER).flat()));
});

const seeds = Array.from({ length: 12 }, (_, index) => index + 1);

test.each(seeds)("mkcomposefs makes the digests of random image %i from its dump", async (seed) => {
  const layout = join(work, `seed-${seed}`);
  await writeImageOf(`oci:${layout}:test`, randomLayers(seed, { policy: seed % 2 === 0 }).map(encodeLayer));
  for (const plain of [true, false]) {
    const dumpfile = join(work, "tree.dump");
    const { digests } = await computeDigests(`oci:${layout}:test`, { formats: "v0-sha256,v1-sha256", plain, dumpfile });
    for (const version of [0, 1]) {
      const flags = [`--min-version=${version}`, `--max-version=${version}`, "--print-digest-only", "--from-file"];
      expect(digests[`v${version}-sha256`]).toBe(
        mkcomposefs([...flags, dumpfile])
          .toString()
          .trim(),
      );
    }
  }
});
