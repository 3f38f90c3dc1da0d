import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toHex } from "../../src/lib/bytes/numbers.ts";
import { SealwrightError } from "../../src/lib/errors.ts";
import { computeComposefsDigest, dumpTree, parseComposefsFormat } from "../../src/model/composefs/index.ts";
import { toCanonicalTree } from "../../src/model/source/canonical-tree.ts";
import { openTreeSource } from "../../src/model/source/tree-source.ts";
import { treeFromLayers } from "../../src/model/tree/apply.ts";
import { toOciTree } from "../../src/model/tree/transform.ts";
import { BASE_LAYER, ODD_LAYERS } from "../odd-layers.ts";
import { randomLayers } from "../random-layers.ts";
import { randomTree } from "../random-tree.ts";
import {
  cfsctl,
  cfsctlVersion,
  HASHES,
  type Hash,
  ofDirectory,
  openRepository,
  type TreeMode,
  VERSIONS,
} from "../tools/cfsctl.ts";
import { debianPolicy } from "../tools/selinux-policy.ts";
import { unpackWithUmoci } from "../tools/umoci.ts";
import { encodeLayer, flattenTree, writeImageOf } from "../write-layers.ts";

/**
 * composefs-rs itself judges whole images and directories: digests and dumps, refusals too. Where there is no `cfsctl`
 * the same stacks are compared in layer-stacks.test.ts with what Debian has, and with verdicts that were kept.
 */
const version = cfsctlVersion();

/** First and last seed; more of them by hand: `CFSCTL_SEEDS=1-500`. */
const [from, to] = (process.env["CFSCTL_SEEDS"] ?? "1-8").split("-").map(Number) as [number, number];
const seeds = Array.from({ length: to - from + 1 }, (_, index) => from + index);

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "cfsctl-test-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

interface Result {
  readonly dump: string;
  /** Of V0, V1 and V2. */
  readonly digests: readonly string[];
}

async function ours(reference: string, hash: Hash, mode: TreeMode): Promise<Result> {
  await using source = await openTreeSource(reference, { algorithms: [hash] });
  if (mode === "keep-user-xattrs") toOciTree(source.tree, { keepUserXattrs: true });
  else await toCanonicalTree(source, mode === "plain");
  const digest = (one: number): string =>
    toHex(computeComposefsDigest(source.tree, parseComposefsFormat(`v${one}-${hash}`)));
  const dump = Buffer.concat([...dumpTree(source.tree, hash)]).toString("latin1");
  return { dump, digests: VERSIONS.map(digest) };
}

const MODES: readonly TreeMode[] = ["plain", "boot", "keep-user-xattrs"];

/** Every tenth image has a directory of this many entries. */
const BIG = [1, 2, 50, 500, 2000, 5000];

if (version === undefined) {
  test("there is no cfsctl on PATH: images, directories and dumps were not compared with composefs-rs itself", () => {
    console.warn("cfsctl is not on PATH: images, directories and dumps were not compared with composefs-rs itself");
  });
}

describe.skipIf(version === undefined)(`${version} agrees on`, () => {
  test.each(seeds)("digests and dumps of random image %i", async (seed) => {
    const layout = join(work, `seed-${seed}`);
    const bigDirectory = seed % 10 === 0 ? BIG[(seed / 10) % BIG.length] : undefined;
    const options = { policy: seed % 2 === 0, ...(bigDirectory === undefined ? {} : { bigDirectory }) };
    await writeImageOf(`oci:${layout}:test`, randomLayers(seed, options).map(encodeLayer));
    for (const hash of HASHES) {
      using repository = openRepository(hash);
      const pulled = repository.pull(layout, "test");
      for (const mode of MODES) {
        const theirs = { dump: pulled.dump(mode), digests: VERSIONS.map((one) => pulled.digest(one, mode)) };
        expect(await ours(`oci:${layout}:test`, hash, mode)).toEqual(theirs);
      }
    }
    rmSync(layout, { recursive: true });
  });

  test("odd layers, unless we refuse them", async () => {
    const layout = join(work, "odd");
    using repository = openRepository("sha256");
    for (const [index, { name, tar }] of ODD_LAYERS.entries()) {
      await writeImageOf(`oci:${layout}:${index}`, [BASE_LAYER, tar]);
      const found = await ours(`oci:${layout}:${index}`, "sha256", "plain").catch((error: unknown) => {
        if (error instanceof SealwrightError) return undefined;
        throw error;
      });
      if (found === undefined) continue;
      const pulled = repository.pull(layout, String(index));
      expect({ name, digest: found.digests[1] }).toEqual({ name, digest: pulled.digest(1, "plain") });
    }
  }, 300_000);

  test.each(seeds)("digests and dumps of random directory %i", async (seed) => {
    const layout = join(work, "layout");
    const bundle = join(work, "bundle");
    const merged = treeFromLayers(randomLayers(seed, { policy: seed % 2 === 0, storable: true }));
    await writeImageOf(`oci:${layout}:test`, [encodeLayer(flattenTree(merged))]);
    const root = unpackWithUmoci(layout, "test", bundle);
    for (const hash of HASHES) {
      for (const mode of MODES) {
        expect(await ours(`dir:${root}`, hash, mode)).toEqual(ofDirectory(root, hash, mode));
      }
    }
    rmSync(layout, { recursive: true });
    rmSync(bundle, { recursive: true });
  });

  test("the labels of a reference policy", async () => {
    const root = join(work, "labelled");
    cpSync(join(await debianPolicy(), "../.."), join(root, "etc/selinux/default"), { recursive: true });
    writeFileSync(join(root, "etc/selinux/config"), "SELINUX=enforcing\nSELINUXTYPE=default\n");
    for (const name of ["boot", "sysroot", "usr"]) mkdirSync(join(root, name));
    // Paths as they are on a system: those of the one that runs the test.
    const listed = execFileSync("find", ["/etc", "/usr", "/var", "/root", "-xdev", "-printf", "%y %p\\n"], {
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    for (const line of listed.split("\n").filter((_, index) => index % 5 === 0)) {
      const path = join(root, line.slice(2));
      if (line.includes("selinux") || line === "") continue;
      mkdirSync(line.startsWith("d") ? path : dirname(path), { recursive: true });
      if (line.startsWith("f")) writeFileSync(path, "");
      if (line.startsWith("l") && !existsSync(path)) symlinkSync("x", path);
    }
    expect(await ours(`dir:${root}`, "sha512", "boot")).toEqual(ofDirectory(root, "sha512", "boot"));
  });

  test.each(seeds)("images of the dump of random tree %i", (seed) => {
    const dump = join(work, "tree.dump");
    const image = join(work, "tree.erofs");
    const tree = randomTree(seed, 5 + ((seed * 37) % 400));
    writeFileSync(dump, Buffer.concat([...dumpTree(tree, "sha256")]));
    for (const one of [0, 1] as const) {
      const flags = [`--min-version=${one}`, `--max-version=${one}`, "--print-digest", "--from-file"];
      const theirs = cfsctl(["mkcomposefs", ...flags, dump, image])
        .toString()
        .trim();
      expect(toHex(computeComposefsDigest(tree, parseComposefsFormat(`v${one}-sha256`)))).toBe(theirs);
    }
  });
});
