/**
 * EROFS writing and dump reading of a synthetic OS tree, against `mkcomposefs --from-file` in the same run.
 *
 *     npx -c 'node bench/erofs.ts [ENTRIES]'
 */

import { hash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDumpfile } from "../src/formats/dumpfile/index.ts";
import { emitErofs, planErofs } from "../src/formats/erofs/index.ts";
import { type ByteString, byteString } from "../src/lib/bytes/byte-string.ts";
import {
  computeComposefsDigest,
  dumpTree,
  encodeComposefsImage,
  parseComposefsFormat,
  treeFromDump,
  treeFromErofs,
} from "../src/model/composefs/index.ts";
import { listInodes } from "../src/model/composefs/inodes.ts";
import { type Directory, emptyDirectory, type Metadata, type Tree } from "../src/model/tree/tree.ts";
import { mkcomposefs } from "../test/tools/composefs.ts";

const ROUNDS = 5;

function meta(index: number, mode: number): Metadata {
  return {
    mode,
    uid: 0,
    gid: 0,
    mtimeSec: BigInt(1_700_000_000 + (index % 1000)),
    mtimeNsec: index % 3 === 0 ? 0 : index,
    xattrs: new Map([[byteString("security.selinux"), byteString(`system_u:object_r:type${index % 40}_t:s0`)]]),
  };
}

/** Like an OS: 10 files a directory, 5 directories in a directory, a tenth links, a twentieth small, 40 SELinux labels. */
function makeTree(count: number): Tree {
  const root = emptyDirectory(meta(0, 0o755));
  const directories: Directory[] = [root];
  for (let index = 1; index < count; index++) {
    const name = byteString(`entry-${index.toString(36)}`);
    const isDirectory = index % 11 === 1;
    const parent = directories[
      isDirectory ? Math.floor((directories.length - 1) / 5) : directories.length - 1
    ] as Directory;
    if (isDirectory) {
      const directory = emptyDirectory(meta(index, 0o755));
      directories.push(directory);
      parent.entries.set(name, directory);
    } else if (index % 10 === 0) {
      const target = `../lib/target-${index}` as ByteString;
      parent.entries.set(name, { kind: "symlink", target, meta: meta(index, 0o777) });
    } else if (index % 20 === 1) {
      const bytes = Buffer.from(`content ${index}\n`);
      parent.entries.set(name, { kind: "file", content: { kind: "inline", bytes }, meta: meta(index, 0o644) });
    } else {
      const digest = hash("sha256", String(index), "buffer");
      const content = { kind: "external", size: BigInt(100 + index), digests: { sha256: digest } } as const;
      parent.entries.set(name, { kind: "file", content, meta: meta(index, 0o644) });
    }
  }
  return { root };
}

function time(name: string, work: () => unknown): number {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    work();
    times.push(performance.now() - start);
  }
  const median = times.sort((a, b) => a - b)[ROUNDS >> 1] as number;
  console.log(
    `${name.padEnd(48)} ${median.toFixed(0).padStart(6)} ms   (first to last ${times.map((t) => t.toFixed(0)).join(" ")})`,
  );
  return median;
}

const count = Number(process.argv[2] ?? 250_000);
const format = parseComposefsFormat("v1-sha256");
const tree = makeTree(count);
const dump = Buffer.concat([...dumpTree(tree, "sha256")]);
const image = encodeComposefsImage(tree, format);
console.log(
  `${count} entries, dump ${(dump.length / 2 ** 20).toFixed(1)} MiB, image ${(image.length / 2 ** 20).toFixed(1)} MiB`,
);

const directory = mkdtempSync(join(tmpdir(), "bench-erofs-"));
try {
  const path = join(directory, "tree.dump");
  writeFileSync(path, dump);
  time("parse dump, entries only", () => {
    for (const entry of parseDumpfile(dump).entries) if (entry.path === "") throw new Error();
  });
  time("dump to tree", () => treeFromDump(dump));
  time("tree to dump", () => [...dumpTree(tree, "sha256")].length);
  time("tree to inodes", () => listInodes(tree, format));
  const plan = planErofs(listInodes(tree, format), 1);
  time("tree to layout", () => planErofs(listInodes(tree, format), 1));
  time("layout to bytes", () => emitErofs(plan, () => {}));
  const encode = time("tree to image", () => encodeComposefsImage(tree, format));
  time("tree to digest", () => computeComposefsDigest(tree, format));
  time("image to tree", () => treeFromErofs(image));
  const ours = time("dump to image", () => encodeComposefsImage(treeFromDump(dump), format));
  const out = join(directory, "image.erofs");
  const options = ["--min-version=1", "--max-version=1", "--from-file", path];
  const theirs = time("mkcomposefs --from-file, to an image", () => mkcomposefs([...options, out]));
  const digest = time("dump to digest", () => computeComposefsDigest(treeFromDump(dump), format));
  const theirDigest = time("mkcomposefs --print-digest-only --from-file", () =>
    mkcomposefs(["--print-digest-only", ...options]),
  );
  console.log(`mkcomposefs / ours: image ${(theirs / ours).toFixed(2)}, digest ${(theirDigest / digest).toFixed(2)}`);
  console.log(`mkcomposefs / tree to image alone: ${(theirs / encode).toFixed(2)}`);
} finally {
  rmSync(directory, { recursive: true });
}
