import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeTarEntry, TAR_END, tarPadding } from "../../src/formats/tar/index.ts";
import { FormatError } from "../../src/lib/errors.ts";
import type { LayerEntry, LayerRecord } from "../../src/model/layer/entry.ts";
import { treeFromLayers } from "../../src/model/tree/apply.ts";
import { type Leaf, sortedEntries, type Tree, type TreeNode } from "../../src/model/tree/tree.ts";
import { entry, layer } from "../layers.ts";

/**
 * umoci unpacks what `applyLayer` merges. Stacks keep to what the OCI specification defines for both: whiteouts stand
 * before the additions of their layer, since they speak of lower layers only.
 */
const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
const mode = fc.constantFrom(0o755, 0o700, 0o711);
const whiteout = fc.oneof(
  { weight: 3, arbitrary: path.map((one) => entry.file(one.replace(/[abc]$/, ".wh.$&"))) },
  { weight: 1, arbitrary: path.map((one) => entry.file(one.replace(/[abc]$/, ".wh..wh..opq"))) },
);
const addition: fc.Arbitrary<LayerEntry> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(path, mode).map(([one, mode]) => entry.dir(one, { mode })) },
  {
    weight: 4,
    arbitrary: fc.tuple(path, fc.nat(), mode).map(([one, text, mode]) => entry.file(one, `${text}`, { mode })),
  },
  { weight: 3, arbitrary: fc.tuple(path, path).map(([one, target]) => entry.link(one, target)) },
  { weight: 2, arbitrary: fc.tuple(path, path).map(([one, target]) => entry.symlink(one, target)) },
  { weight: 1, arbitrary: path.map((one) => entry.fifo(one)) },
);
const stack = fc.array(
  fc.tuple(fc.array(whiteout, { maxLength: 3 }), fc.array(addition, { minLength: 4, maxLength: 25 })),
  { minLength: 2, maxLength: 4 },
);

/**
 * Leaves out what is refused, and what the specification leaves open: the same name twice in one layer, and a hard link
 * to itself or to what is below it, for which umoci removes the name first.
 */
function legalOnly(layers: readonly (readonly [LayerEntry[], LayerEntry[]])[]): LayerRecord[] {
  const legal: LayerRecord[] = [layer(entry.dir("a"), entry.dir("b"), entry.dir("a/a"), entry.dir("b/c"))];
  for (const [whiteouts, additions] of layers) {
    const entries: LayerEntry[] = [];
    for (const one of [...whiteouts, ...additions]) {
      const said = one.path.replace(".wh.", "");
      if (entries.some(({ path }) => path.replace(".wh.", "") === said)) continue;
      if (one.kind === "hardlink" && `${one.target}/`.startsWith(`${one.path}/`)) continue;
      if (isLegal([...legal, layer(...entries, one)])) entries.push(one);
    }
    legal.push(layer(...entries));
  }
  return legal;
}

function isLegal(layers: readonly LayerRecord[]): boolean {
  try {
    treeFromLayers(layers);
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

function tarOf({ entries }: LayerRecord): Buffer {
  const parts = entries.flatMap((one) => {
    const content = one.kind === "file" && one.content.kind === "inline" ? one.content.bytes : new Uint8Array();
    const { meta, path } = one;
    const common = { ...meta, path };
    const header =
      one.kind === "file"
        ? { ...common, kind: one.kind, size: content.length }
        : one.kind === "hardlink" || one.kind === "symlink"
          ? { ...common, kind: one.kind, target: one.target }
          : { ...common, kind: one.kind === "fifo" ? one.kind : ("directory" as const) };
    return [encodeTarEntry(header), content, tarPadding(content.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

/** An image layout with these layers, written by hand. */
function writeLayout(directory: string, layers: readonly LayerRecord[]): void {
  mkdirSync(join(directory, "blobs/sha256"), { recursive: true });
  const blob = (mediaType: string, bytes: Buffer) => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(directory, "blobs/sha256", hex), bytes);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (mediaType: string, value: object) => blob(mediaType, Buffer.from(JSON.stringify(value)));
  const descriptors = layers.map((one) => blob("layer.v1.tar", tarOf(one)));
  const rootfs = { type: "layers", diff_ids: descriptors.map(({ digest }) => digest) };
  const config = json("config.v1+json", { architecture: "amd64", os: "linux", config: {}, rootfs });
  const manifest = json("manifest.v1+json", { schemaVersion: 2, config, layers: descriptors });
  const annotations = { "org.opencontainers.image.ref.name": "test" };
  writeFileSync(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(directory, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
}

/** A line a node: path, kind, mode, content, and the first name of its hard link. */
function showMerged(tree: Tree): string[] {
  const first = new Map<Leaf, string>();
  const show = (path: string, node: TreeNode): string[] => {
    if (node.kind === "directory") {
      const below = sortedEntries(node).flatMap(([name, child]) => show(`${path}/${name}`, child));
      return [`${path} directory ${node.meta.mode.toString(8)}`, ...below];
    }
    if (!first.has(node)) first.set(node, path);
    const content =
      node.kind === "symlink"
        ? node.target
        : node.kind === "file" && node.content.kind === "inline"
          ? Buffer.from(node.content.bytes).toString()
          : "";
    const mode = node.kind === "symlink" ? "777" : node.meta.mode.toString(8);
    return [`${path} ${node.kind} ${mode} ${content} ${first.get(node)}`];
  };
  return show("", tree.root).slice(1);
}

function showUnpacked(root: string): string[] {
  const first = new Map<bigint, string>();
  const show = (path: string): string[] => {
    const full = root + path;
    const found = lstatSync(full, { bigint: true });
    const mode = (found.mode & 0o7777n).toString(8);
    if (found.isDirectory()) {
      const below = readdirSync(full)
        .sort()
        .flatMap((name) => show(`${path}/${name}`));
      return [`${path} directory ${mode}`, ...below];
    }
    if (!first.has(found.ino)) first.set(found.ino, path);
    const [kind, content] = found.isSymbolicLink()
      ? ["symlink", readlinkSync(full)]
      : found.isFIFO()
        ? ["fifo", ""]
        : ["file", readFileSync(full, "utf8")];
    return [`${path} ${kind} ${mode} ${content} ${first.get(found.ino)}`];
  };
  return show("").slice(1);
}

test("treeFromLayers() merges layers as umoci unpacks them", () => {
  const work = mkdtempSync(join(tmpdir(), "layers-umoci-"));
  let entries = 0;
  try {
    fc.assert(
      fc.property(stack, (layers) => {
        const legal = legalOnly(layers);
        entries += legal.flatMap((one) => one.entries).length;
        const layout = join(work, "layout");
        const bundle = join(work, "bundle");
        for (const old of [layout, bundle]) if (existsSync(old)) rmSync(old, { recursive: true });
        writeLayout(layout, legal);
        const rootless = process.getuid?.() === 0 ? [] : ["--rootless"];
        execFileSync("umoci", ["unpack", ...rootless, "--image", `${layout}:test`, bundle], {
          stdio: ["ignore", "pipe", "pipe"],
        });
        expect(showMerged(treeFromLayers(legal))).toEqual(showUnpacked(join(bundle, "rootfs")));
      }),
      { numRuns: 100 },
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  expect(entries).toBeGreaterThan(400);
});
