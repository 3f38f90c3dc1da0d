/**
 * fs-verity digests of a tree of 2 GiB, as files and as layers, against `openssl speed` on all cores and, on SHA-256,
 * `mkcomposefs --print-digest-only` over the same tree.
 *
 *     npx -c 'node bench/digest.ts [GIB]'
 *
 * Every measurement is a process of its own, so that its peak memory is its own; the page cache is warm.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { VerityAlgorithm } from "../src/formats/fsverity/algorithm.ts";
import type { BlobDigest } from "../src/formats/oci/digest.ts";
import { fileRange } from "../src/lib/streams/pull.ts";
import type { Compression, Layer } from "../src/model/image/image.ts";
import { digestFiles } from "../src/model/layer/digest-files.ts";
import { scanLayers } from "../src/model/layer/scan.ts";
import { mkcomposefs } from "../test/tools/composefs.ts";

const LAYERS = 4;
const SUFFIX: Record<Compression, string> = { none: "", gzip: ".gz", zstd: ".zst" };

interface Measured {
  readonly seconds: number;
  readonly bytes: number;
  readonly peakRss: number;
}

/** Sizes like those of an OS: most files small, most bytes in large ones. The bytes are those of a program. */
function makeTree(root: string, size: number): void {
  const pool = Buffer.alloc(64 << 20);
  readSync(openSync(process.execPath, "r"), pool, 0, pool.length, 0);
  let state = 1;
  const random = (): number => (state = (state * 48271) % 0x7fffffff) / 0x7fffffff;
  for (let written = 0, index = 0; written < size; index++) {
    const directory = join(root, `layer${Math.floor((written / size) * LAYERS)}`, `d${Math.floor(index / 100)}`);
    if (index % 100 === 0 || written === 0) mkdirSync(directory, { recursive: true });
    const fileSize = Math.floor(Math.min(pool.length / 2, Math.exp(random() * 6 + random() * 6 + random() * 6)));
    const from = Math.floor(random() * (pool.length - fileSize));
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `f${index}`), pool.subarray(from, from + fileSize));
    written += fileSize;
  }
}

function makeLayers(root: string, into: string): void {
  const shell = (command: string): void => void execFileSync("sh", ["-ec", command], { cwd: into, stdio: "inherit" });
  for (const name of readdirSync(root)) shell(`tar --sort=name --format=pax -cf ${name}.tar -C ${root} ${name}`);
  shell(`ls *.tar | xargs -P ${availableParallelism()} -n 1 gzip -1nk`);
  shell("zstd -q -T0 -3 *.tar");
}

function loadLayers(directory: string, compression: Compression): Layer[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(`.tar${SUFFIX[compression]}`));
  return names.map((name, index) => {
    const path = join(directory, name);
    const { size } = statSync(path);
    const digestOf = (file: string): BlobDigest =>
      readFileSync(`${join(directory, file)}.sha256`, "latin1") as BlobDigest;
    const file = compression === "none" ? { file: { path, offset: 0, size } } : {};
    const open = (): AsyncIterable<Uint8Array> => fileRange(path, 0, size);
    const diffId = digestOf(name.slice(0, name.length - SUFFIX[compression].length));
    return { index, digest: digestOf(name), diffId, size, mediaType: "", compression, open, ...file };
  });
}

function listFiles(root: string): { path: string; size: number }[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, size: statSync(path).size }));
}

/** What a child process does: one measurement, told as JSON. */
async function measure(road: string, directory: string, algorithm: VerityAlgorithm): Promise<Measured> {
  const start = performance.now();
  let bytes = 0;
  if (road === "directory") {
    const files = listFiles(join(directory, "tree"));
    await digestFiles(files, { algorithms: [algorithm] });
    bytes = files.reduce((sum, { size }) => sum + size, 0);
  } else {
    const records = await scanLayers(loadLayers(join(directory, "layers"), road as Compression), {
      algorithms: [algorithm],
    });
    bytes = records.reduce((sum, { size }) => sum + size, 0);
  }
  return { seconds: (performance.now() - start) / 1000, bytes, peakRss: process.resourceUsage().maxRSS * 1024 };
}

function inChild(...args: string[]): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [import.meta.filename, "--measure", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.on("data", (text) => (out += String(text)));
    child.on("close", (status) =>
      status === 0 ? resolve(JSON.parse(out) as Measured) : reject(new Error(`status ${status}`)),
    );
  });
}

/** Bytes a second on all cores together. */
function opensslSpeed(algorithm: VerityAlgorithm): number {
  const args = [
    "speed",
    "-seconds",
    "3",
    "-evp",
    algorithm,
    "-bytes",
    "4096",
    "-multi",
    String(availableParallelism()),
  ];
  const line =
    execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      .trim()
      .split("\n")
      .at(-1) ?? "";
  return Number(/([\d.]+)k$/.exec(line.trim())?.[1]) * 1000;
}

const mib = (bytes: number): string => String(Math.round(bytes / 2 ** 20));

async function main(gib: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "bench-digest-"));
  try {
    makeTree(join(directory, "tree"), gib * 2 ** 30);
    mkdirSync(join(directory, "layers"));
    makeLayers(join(directory, "tree"), join(directory, "layers"));
    for (const name of readdirSync(join(directory, "layers"))) {
      const path = join(directory, "layers", name);
      const [hex] = execFileSync("openssl", ["dgst", "-sha256", "-r", path], { encoding: "latin1" }).split(" ");
      writeFileSync(`${path}.sha256`, `sha256:${hex}`);
    }
    for (const algorithm of ["sha512", "sha256"] as const) {
      const reference = opensslSpeed(algorithm);
      console.log(`${algorithm}: openssl speed on ${availableParallelism()} cores: ${mib(reference)} MiB/s`);
      for (const road of ["directory", "none", "gzip", "zstd"]) {
        const { seconds, bytes, peakRss } = await inChild(road, directory, algorithm);
        const speed = bytes / seconds;
        const ratio = Math.round((100 * speed) / reference);
        console.log(
          `  ${road.padEnd(9)} ${seconds.toFixed(2)} s  ${mib(speed)} MiB/s  ${ratio} % of openssl  peak ${mib(peakRss)} MiB`,
        );
      }
    }
    const start = performance.now();
    mkcomposefs(["--print-digest-only", join(directory, "tree")]);
    console.log(`mkcomposefs over the directory, SHA-256: ${((performance.now() - start) / 1000).toFixed(2)} s`);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (process.argv[2] === "--measure") {
  const [road, directory, algorithm] = process.argv.slice(3) as [string, string, VerityAlgorithm];
  console.log(JSON.stringify(await measure(road, directory, algorithm)));
} else {
  await main(Number(process.argv[2] ?? 2));
}
