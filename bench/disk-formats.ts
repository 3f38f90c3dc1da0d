/**
 * Writing an ext4 file system of fs-verity objects, against `mke2fs -d` and `debugfs` over the same files in one run.
 *
 *     npx -c 'node bench/disk-formats.ts [FILES] [MIB]'
 *
 * Both start from contents and Merkle trees that are on disk already, and both end with a file that e2fsck accepts.
 * Ours is also wrapped as qcow2.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Ext4Directory,
  type Ext4Metadata,
  type Ext4Node,
  encodeVerityMetadata,
  planExt4,
  verityOffset,
} from "../src/formats/ext4/index.ts";
import { buildMerkleTree, encodeDescriptor, hashBlocks, leavesSize } from "../src/formats/fsverity/index.ts";
import { encodeQcow2 } from "../src/formats/qcow2/index.ts";
import { byteString } from "../src/lib/bytes/byte-string.ts";
import { type BytesPiece, resolvePieces } from "../src/lib/bytes/piece.ts";

const files = Number(process.argv[2] ?? 5000);
const mib = Number(process.argv[3] ?? 256);
const directory = mkdtempSync(join(tmpdir(), "bench-disk-"));
const staged = join(directory, "staged");
const UUID = "6a921af4-a24c-489d-a5e9-2b7158ad7e9f";
const uuid = Buffer.from(UUID.replaceAll("-", ""), "hex");
const meta: Ext4Metadata = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 0n, mtimeNsec: 0, xattrs: new Map() };

/** Bytes of a staged file. */
interface Reference {
  readonly path: string;
  readonly offset: number;
}

const objects = new Map<string, Map<string, Ext4Node<Reference>>>();
const script: string[] = [];

/** Most files small, most bytes in large ones, as in an OS. Staged at full length: data, hole, Merkle tree, descriptor. */
function stage(): void {
  const average = (mib * 2 ** 20) / files;
  const noise = execFileSync("head", ["-c", "8388608", "/dev/urandom"], { maxBuffer: 2 ** 24 });
  for (let i = 0; i < files; i++) {
    const size = Math.round((i % 20 === 0 ? average * 12 : average * 0.42) * (0.5 + (i % 11) / 10)) + 1;
    const content = Buffer.concat([Buffer.from(`${i} `), noise.subarray(0, size - 1)]).subarray(0, size);
    const leaves = new Uint8Array(leavesSize(content.length, "sha512"));
    hashBlocks(content, "sha512", leaves, 0);
    const { rootHash, levels } = buildMerkleTree(leaves, "sha512");
    const tree = Buffer.concat(levels);
    const descriptor = encodeDescriptor(content.length, rootHash, "sha512");
    const metadata = encodeVerityMetadata(tree, descriptor);

    const hex = Buffer.from(rootHash).toString("hex");
    const [prefix, name] = [hex.slice(0, 2), hex.slice(2)];
    mkdirSync(join(staged, prefix), { recursive: true });
    const path = join(staged, prefix, name);
    const at = verityOffset(content.length);
    const fd = openSync(path, "w");
    writeSync(fd, content, 0, content.length, 0);
    writeSync(fd, metadata, 0, metadata.length, at);
    closeSync(fd);
    script.push(`sif /${prefix}/${name} size ${content.length}`, `sif /${prefix}/${name} flags 0x180000`);
    const entries = objects.get(prefix) ?? new Map<string, Ext4Node<Reference>>();
    objects.set(prefix, entries);
    entries.set(name, {
      kind: "file",
      meta,
      size: content.length,
      content: { path, offset: 0 },
      verity: { metadata: { path, offset: at }, metadataSize: metadata.length },
    });
  }
}

const folder = (entries: Iterable<readonly [string, Ext4Node<Reference>]>): Ext4Directory<Reference> => ({
  kind: "directory",
  meta: { ...meta, mode: 0o755 },
  entries: new Map([...entries].map(([name, node]) => [byteString(name), node])),
});

const buffer = Buffer.alloc(1 << 20);
function* open({ path, offset }: Reference, from: number, size: number): Generator<Uint8Array, void, void> {
  const fd = openSync(path, "r");
  for (let at = 0; at < size; ) {
    const read = readSync(fd, buffer, 0, Math.min(buffer.length, size - at), offset + from + at);
    yield buffer.subarray(0, read);
    at += read;
  }
  closeSync(fd);
}

async function store(
  path: string,
  size: number,
  pieces: Iterable<BytesPiece> | AsyncIterable<BytesPiece>,
): Promise<void> {
  const fd = openSync(path, "w");
  ftruncateSync(fd, size);
  for await (const { offset, bytes } of pieces) writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
}

async function timed(name: string, work: () => void | Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  console.log(`${name.padEnd(40)} ${seconds.toFixed(2)} s`);
  return seconds;
}

const best = (of: readonly number[]): number => Math.min(...of);

stage();
const total = [...objects.values()].flatMap((entries) => [...entries.values()]);
const bytes = total.reduce((sum, node) => sum + (node.kind === "file" ? node.size : 0), 0);
const size = Math.max(2 ** 30, Math.ceil((bytes * 1.5) / 4096) * 4096);
console.log(
  `${total.length} files of ${(bytes / 2 ** 20).toFixed(0)} MiB with fs-verity metadata, in ${(size / 2 ** 20).toFixed(0)} MiB\n`,
);

const plan = () =>
  planExt4(folder([...objects].map(([name, entries]) => [name, folder(entries)] as const)), {
    uuid,
    hashSeed: uuid,
    time: { sec: 0n, nsec: 0 },
    size,
  });
const ours = join(directory, "ours.img");
const theirs = join(directory, "theirs.img");
const scriptPath = join(directory, "script");
writeFileSync(scriptPath, `${script.join("\n")}\n`);

try {
  const samples = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < 3; round++) {
    rmSync(ours, { force: true });
    rmSync(theirs, { force: true });
    samples.theirs.push(
      await timed("mke2fs -d and debugfs", () => {
        const blocks = String(size / 4096);
        execFileSync(
          "mke2fs",
          ["-q", "-t", "ext4", "-b", "4096", "-O", "verity", "-U", UUID, "-d", staged, theirs, blocks],
          { stdio: "pipe" },
        );
        execFileSync("debugfs", ["-w", "-f", scriptPath, theirs], { stdio: "pipe", maxBuffer: 2 ** 28 });
      }),
    );
    samples.ours.push(
      await timed("planExt4 and writing", () => {
        const planned = plan();
        return store(ours, planned.size, resolvePieces(planned.pieces(), open));
      }),
    );
    await timed("planExt4 alone", () => void [...plan().pieces()].length);
    await timed("planExt4 into qcow2", () => {
      const planned = plan();
      const disk = resolvePieces(planned.pieces(), open);
      return store(join(directory, "ours.qcow2"), 0, encodeQcow2(disk, { size: planned.size }));
    });
  }
  for (const image of [ours, theirs]) execFileSync("e2fsck", ["-fn", image], { stdio: "pipe" });
  console.log(`\nours / theirs, best of three: ${(best(samples.ours) / best(samples.theirs)).toFixed(2)}`);
  console.log(
    `peak memory of this process: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB, staging included`,
  );
} finally {
  rmSync(directory, { recursive: true });
}
