import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { computeDigests } from "../../src/actions/digest/compute-digests.ts";
import { SealwrightError } from "../../src/lib/errors.ts";
import { randomLayers } from "../random-layers.ts";
import { CfsctlError, cfsctlVersion, HASHES, type Hash, pullImage, VERSIONS } from "../tools/cfsctl.ts";
import { encodeLayer, writeImageOf } from "../write-layers.ts";

/**
 * composefs-rs itself judges whole images: layers in, digests and dump out. Where there is no `cfsctl` the same stacks
 * are compared in layer-stacks.test.ts, with what Debian has.
 */
const version = cfsctlVersion();

/** First and last seed; more of them by hand: `CFSCTL_SEEDS=1-500`. */
const [from, to] = (process.env["CFSCTL_SEEDS"] ?? "1-12").split("-").map(Number) as [number, number];
const seeds = Array.from({ length: to - from + 1 }, (_, index) => from + index);

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "images-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

if (version === undefined) {
  test("there is no cfsctl on PATH: digests and dumps of whole images were not compared with composefs-rs", () => {
    console.warn("cfsctl is not on PATH: digests and dumps of whole images were not compared with composefs-rs");
  });
}

interface Result {
  readonly dump: string;
  readonly digests: Readonly<Record<string, string>>;
}

async function digestAndDump(reference: string, hash: Hash, mode: "plain" | "boot"): Promise<Result> {
  const dumpfile = join(work, "ours.dump");
  const formats = VERSIONS.map((one) => `v${one}-${hash}`).join();
  const { digests } = await computeDigests(reference, { formats, plain: mode === "plain", dumpfile });
  return { dump: readFileSync(dumpfile, "latin1"), digests };
}

/** What comes out, where a refusal is a result too: both must take the same images. */
async function outcomeOf(work: () => Result | Promise<Result>): Promise<Result | "refused"> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SealwrightError || error instanceof CfsctlError) return "refused";
    throw error;
  }
}

describe.skipIf(version === undefined)(`images as ${version} sees them`, () => {
  test.each(seeds)("random image %i has the digests and the dumps of composefs-rs", async (seed) => {
    const tag = `seed-${seed}`;
    const layout = join(work, tag);
    const big = seed % 10 === 0 ? [1, 2, 50, 500, 2000, 5000][(seed / 10) % 6] : undefined;
    const layers = randomLayers(seed, { policy: seed % 2 === 0, ...(big === undefined ? {} : { bigDirectory: big }) });
    await writeImageOf(`oci:${layout}:${tag}`, layers.map(encodeLayer));
    for (const hash of HASHES) {
      using pulled = pullImage(layout, tag, hash);
      for (const mode of ["plain", "boot"] as const) {
        const ours = await outcomeOf(() => digestAndDump(`oci:${layout}:${tag}`, hash, mode));
        const theirs = await outcomeOf(() => ({
          dump: pulled.dump(mode).toString("latin1"),
          digests: Object.fromEntries(VERSIONS.map((one) => [`v${one}-${hash}`, pulled.digest(one, mode)])),
        }));
        expect(ours).toEqual(theirs);
      }
    }
    rmSync(layout, { recursive: true });
  });
});
