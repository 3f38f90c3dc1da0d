/**
 * `sealwright diff` of two images of 50 000 files in eight layers, of which B has one in fifty changed and a
 * layer more, once with an empty layer cache and then with a warm one; best of five, whole process.
 *
 *     npx -c 'node bench/diff.ts [FILES]'
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeTarEntry, TAR_END, tarPadding } from "../src/formats/tar/index.ts";
import { byteString } from "../src/lib/bytes/byte-string.ts";
import { writeImageOf } from "../test/write-layers.ts";

const LAYERS = 8;
const FILES_A_DIRECTORY = 40;
const meta = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 1_700_000_000n, mtimeNsec: 0, xattrs: new Map() };

function tarOf(files: Iterable<readonly [path: string, text: string]>, directories: Iterable<string>): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const path of directories) {
    parts.push(encodeTarEntry({ ...meta, mode: 0o755, path: byteString(path), kind: "directory" }));
  }
  for (const [path, text] of files) {
    const bytes = Buffer.from(text);
    parts.push(encodeTarEntry({ ...meta, path: byteString(path), kind: "file", size: bytes.length }), bytes);
    parts.push(tarPadding(bytes.length));
  }
  return Buffer.concat([...parts, TAR_END]);
}

/** File `index` of revision `revision`: above the size that a composefs image stores itself. */
const contentOf = (index: number, revision: number): string => `${index}.${revision}\n`.repeat(20 + (index % 300));
const directoryOf = (index: number): string => `usr/share/d${index % 25}/e${Math.floor(index / FILES_A_DIRECTORY)}`;
const pathOf = (index: number): string =>
  `${directoryOf(Math.floor(index / FILES_A_DIRECTORY) * FILES_A_DIRECTORY)}/file-${index}.txt`;

function layersOf(files: number): Uint8Array[] {
  const each = Math.ceil(files / LAYERS);
  const top = ["boot", "etc", "run", "sysroot", "usr", "usr/lib", "usr/share"];
  top.push(...Array.from({ length: 25 }, (_, index) => `usr/share/d${index}`));
  return Array.from({ length: LAYERS }, (_, layer) => {
    const indices = Array.from({ length: Math.min(each, files - layer * each) }, (_unused, at) => layer * each + at);
    const release =
      layer === 0
        ? [["usr/lib/os-release", 'ID=bench\nVERSION_ID=1\nPRETTY_NAME="Benchmark OS, first edition, long"\n'] as const]
        : [];
    const paths = indices.map(pathOf);
    const directories = new Set(paths.map((path) => path.slice(0, path.lastIndexOf("/"))));
    const listed = indices.map((index) => [pathOf(index), contentOf(index, 0)] as const);
    return tarOf([...release, ...listed], [...(layer === 0 ? top : []), ...directories]);
  });
}

function changesOf(files: number): Uint8Array {
  const changed = Array.from({ length: files / 50 }, (_, index) => index * 50);
  return tarOf(
    changed.map((index) => [pathOf(index), contentOf(index, 1)] as const),
    [],
  );
}

function run(directory: string): number {
  const start = performance.now();
  const program = join(import.meta.dirname, "../bin/sealwright.cjs");
  execFileSync(process.execPath, [program, "diff", `oci:${directory}/a`, `oci:${directory}/b`], {
    env: { ...process.env, XDG_CACHE_HOME: join(directory, "cache") },
    stdio: ["ignore", "pipe", "ignore"],
  });
  return (performance.now() - start) / 1000;
}

const files = Number(process.argv[2] ?? 50_000);
const directory = mkdtempSync(join(tmpdir(), "bench-diff-"));
try {
  const layers = layersOf(files);
  await writeImageOf(`oci:${directory}/a`, layers);
  await writeImageOf(`oci:${directory}/b`, [...layers, changesOf(files)]);
  console.log(`${files} files, empty cache: ${run(directory).toFixed(2)} s`);
  const warm = Array.from({ length: 5 }, () => run(directory));
  console.log(`${files} files, warm cache:  ${Math.min(...warm).toFixed(2)} s`);
} finally {
  rmSync(directory, { recursive: true });
}
