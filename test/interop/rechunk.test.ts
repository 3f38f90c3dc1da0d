/** Layers cut by content, in the hands of other tools: what they make of them has the digest of the image. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { computeDigests } from "../../src/actions/digest/compute-digests.ts";
import { planUpdate } from "../../src/actions/plan-update/plan-update.ts";
import { rechunkImage } from "../../src/actions/rechunk/rechunk-image.ts";
import { Registries } from "../../src/model/registry/index.ts";
import { randomLayers } from "../random-layers.ts";
import { startRegistry } from "../registry/servers.ts";
import { writeSmallOs } from "../small-os.ts";
import { unpackWithUmoci } from "../tools/umoci.ts";
import { encodeLayer, writeImageOf } from "../write-layers.ts";

const FORMATS = "v1-sha512,v2-sha512";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-rechunk-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const at = (name: string): string => join(directory, name);

const skopeo = (...args: string[]) => execFileSync("skopeo", args, { stdio: ["ignore", "pipe", "pipe"] });

const digestsOf = async (reference: string) => (await computeDigests(reference, { formats: FORMATS })).digests;

/** An image of random layers, and the same one cut: as root all of it can be unpacked, owners and devices included. */
async function cutRandom(seed: number, maxLayers: number): Promise<{ readonly from: string; readonly cut: string }> {
  const [from, cut] = [`oci:${at(`from-${seed}`)}:x`, at(`cut-${seed}`)];
  await writeImageOf(from, randomLayers(seed, { storable: true }).map(encodeLayer));
  await rechunkImage(from, { to: `oci:${cut}:x`, maxLayers, compression: "gzip" });
  return { from, cut };
}

test.runIf(process.getuid?.() === 0).each([1, 2, 3, 4, 5, 6])(
  "umoci unpacks the tree of the image from its new layers, seed %i, as root",
  async (seed) => {
    const { cut, from } = await cutRandom(seed, 2 + seed);
    const root = unpackWithUmoci(cut, "x", at(`bundle-${seed}`));
    expect(await digestsOf(`dir:${root}`)).toEqual(await digestsOf(from));
  },
);

test.runIf(process.getuid?.() === 0)(
  "containers/storage, as Podman has it, stacks the new layers to the same tree, as root",
  async () => {
    const { cut, from } = await cutRandom(7, 6);
    const [graph, run] = [at("storage"), at("storage-run")];
    skopeo("copy", "--quiet", `oci:${cut}:x`, `containers-storage:[vfs@${graph}+${run}]cut:x`);
    const layers = JSON.parse(readFileSync(join(graph, "vfs-layers/layers.json"), "utf8")) as {
      readonly id: string;
      readonly parent?: string;
    }[];
    const top = layers.find(({ id }) => layers.every(({ parent }) => parent !== id));
    expect(layers.length).toBeGreaterThan(2);
    expect(await digestsOf(`dir:${join(graph, "vfs/dir", top?.id ?? "")}`)).toEqual(await digestsOf(from));
  },
);

test("skopeo reads the new layers, and unpacks to what the config calls them", async () => {
  const from = `oci:${at("os")}:x`;
  await writeSmallOs(from);
  await rechunkImage(from, { to: `oci-archive:${at("os.tar")}:x` });
  skopeo("copy", "--quiet", `oci-archive:${at("os.tar")}:x`, `oci:${at("copied")}:x`);
  expect(await digestsOf(`oci:${at("copied")}:x`)).toEqual(await digestsOf(from));
  const config = JSON.parse(skopeo("inspect", "--config", `oci:${at("copied")}:x`).toString()) as {
    history: { empty_layer?: boolean }[];
    rootfs: { diff_ids: string[] };
  };
  expect(config.history.filter((line) => line.empty_layer !== true)).toHaveLength(config.rootfs.diff_ids.length);
  skopeo("copy", "--quiet", "--dest-decompress", `oci:${at("copied")}:x`, `dir:${at("plain")}`);
  expect(readdirSync(at("plain"))).toEqual(expect.arrayContaining(config.rootfs.diff_ids.map((name) => name.slice(7))));
});

test("rechunkImage() works from one tag of a registry to another, and sends only the layers that it has not", async () => {
  await using registry = await startRegistry();
  const tag = (name: string): string => `docker://${registry.host}/os:${name}`;
  const registries = new Registries({
    env: {},
    home: directory,
    tlsVerify: false,
    pacing: { now: () => 0, random: () => 0 },
  });
  const words = (count: number) => ({ "usr/share/": "", "usr/share/words": "words ".repeat(count) });
  await writeSmallOs(`oci:${at("one")}:x`, { files: words(3000) });
  await writeSmallOs(`oci:${at("two")}:x`, { files: words(3001) });
  const options = { registries, compression: "zstd" } as const;
  await rechunkImage(`oci:${at("one")}:x`, { ...options, to: tag("one") });
  const two = await rechunkImage(`oci:${at("two")}:x`, { ...options, to: tag("two"), previous: [tag("one")] });
  expect(two.layers.filter(({ reusedFrom }) => reusedFrom === tag("one")).length).toBeGreaterThan(
    two.layers.length / 2,
  );
  const again = await rechunkImage(tag("two"), { ...options, to: tag("again"), previous: [tag("two")] });
  expect(again.layers.map(({ digest }) => digest)).toEqual(two.layers.map(({ digest }) => digest));
  const plan = await planUpdate(tag("one"), tag("two"), { registries });
  expect(plan.layers?.fetched.count).toBe(two.layers.filter(({ reusedFrom }) => reusedFrom === undefined).length);
  expect(plan.files.map(({ path }) => path)).toEqual(["/usr/share/words"]);
});
