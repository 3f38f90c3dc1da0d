/**
 * A sealed disk made by other people's tools: sfdisk, mkfs.fat and mtools, mke2fs and debugfs. What is ours on it is the
 * EROFS image and the UKI.
 *
 * The recipe for verity files: `mke2fs -d` copies a file at full length, data and metadata of fs-verity behind it; debugfs
 * then sets the size of the data and the flag.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { generateKeys } from "../../src/actions/keys/generate-keys.ts";
import { signPe } from "../../src/formats/authenticode/index.ts";
import { verityOffset } from "../../src/formats/ext4/index.ts";
import {
  buildMerkleTree,
  computeFsverityDigest,
  encodeDescriptor,
  hashBlocks,
  leavesSize,
  type VerityAlgorithm,
} from "../../src/formats/fsverity/index.ts";
import { SplitStreamWriter } from "../../src/formats/splitstream/index.ts";
import { buildUki, type UkiInputs } from "../../src/formats/uki/index.ts";
import { alignUp, toHex } from "../../src/lib/bytes/numbers.ts";
import { encodeComposefsImage, parseComposefsFormat } from "../../src/model/composefs/index.ts";
import { openImage } from "../../src/model/image/open-image.ts";
import { contentId, encodeMeta } from "../../src/model/repository/index.ts";
import { openSigner } from "../../src/model/signing/index.ts";
import { readImage } from "../../src/model/source/tree-source.ts";
import { toBootTree, toOciTree } from "../../src/model/tree/transform.ts";
import { nodesOf } from "../../src/model/tree/walk.ts";
import { KERNEL_VERSION, type OsFiles, writeSmallOs } from "../small-os.ts";
import { run } from "./disk.ts";
import { stubPath } from "./ukify.ts";

const MIB = 1 << 20;
const ESP_OFFSET = MIB;
const ESP_SIZE = 64 * MIB;
const ROOT_OFFSET = ESP_OFFSET + ESP_SIZE;
const ROOT_SIZE = 64 * MIB;

export const NOW = new Date("2026-06-01T00:00:00Z");

export interface SealedDisk {
  readonly path: string;
  /** Digest of the tree. */
  readonly id: string;
  /** Path of a certificate; there is another pair of keys under `stranger`. */
  readonly certificate: string;
  /** Path of the UKI on the ESP, and of its entry. */
  readonly uki: string;
  readonly entry: string;
  /** Digest of the object that a path in the tree has its content in. */
  object(path: string): string;
  /** Signs a PE, by `keys` or `stranger`. */
  sign(pe: Uint8Array, by?: "keys" | "stranger"): Promise<Uint8Array>;
  /** An unsigned UKI with this command line. */
  buildUki(commandLine: string, more?: UkiInputs): Promise<Uint8Array>;
}

export interface SealedDiskOptions {
  readonly algorithm?: VerityAlgorithm;
  readonly files?: OsFiles;
}

/** Objects of one block, of several, of two levels of a tree, and of more than one range. */
export const CONTENTS = {
  "usr/lib/one-block": 4000,
  "usr/lib/blocks": 5000,
  "usr/lib/two-levels": 300_001,
  "usr/lib/large": 9 * MIB + 17,
} as const;

export async function makeSealedDisk(directory: string, options: SealedDiskOptions = {}): Promise<SealedDisk> {
  const { algorithm = "sha512" } = options;
  for (const name of ["keys", "stranger"]) {
    await generateKeys({ directory: join(directory, name), now: new Date("2026-01-01T00:00:00Z"), randomBytes });
  }
  const sign: SealedDisk["sign"] = async (pe, by = "keys") => {
    const at = join(directory, by);
    await using signer = await openSigner(join(at, "db.key"), {
      certificatePath: join(at, "db.crt"),
      now: NOW,
    });
    return await signPe(pe, signer, { signingTime: signer.certificate.notBefore });
  };

  const reference = `oci:${join(directory, "image")}`;
  const files = Object.fromEntries(Object.entries(CONTENTS).map(([path, size]) => [path, pattern(size)]));
  await writeSmallOs(reference, { files: { ...files, ...options.files } });
  await using source = await readImage(await openImage(reference), { algorithms: [algorithm] });
  await toBootTree(toOciTree(source.tree), async (content) => (await source.read([content]))[0] as Uint8Array);
  const image = encodeComposefsImage(source.tree, parseComposefsFormat(`v1-${algorithm}`));
  const id = toHex(computeFsverityDigest(image, algorithm));

  const stage = join(directory, "stage");
  const repository = new StagedRepository(join(stage, "composefs"), algorithm);
  repository.addLink("images", id, image);
  const digests: Uint8Array[] = [];
  for (const node of nodesOf(source.tree.root)) {
    if (node.kind !== "file" || node.content.kind !== "external") continue;
    const [bytes] = await source.read([node.content]);
    digests.push(Buffer.from(repository.addObject(bytes as Uint8Array), "hex"));
  }
  const writer = new SplitStreamWriter("ociconfg", algorithm);
  writer.external(digests[0] as Uint8Array, 1);
  repository.addLink("streams", contentId.config("sha256:00"), await writer.finish(new Map()));
  repository.addFile("meta.json", encodeMeta(algorithm, 1));
  stageState(stage, id);

  const stub = await stubPath("262-x64", "linux");
  const makeUki: SealedDisk["buildUki"] = async (commandLine, more = {}) => {
    const built = await buildUki(readFileSync(stub), {
      linux: Buffer.from("kernel"),
      initrds: [Buffer.from("initrd")],
      osRelease: Buffer.from('ID=small\nVERSION_ID=1\nPRETTY_NAME="Small OS 1"\n'),
      uname: KERNEL_VERSION,
      cmdline: Buffer.from(commandLine),
      ...more,
    });
    return built.bytes;
  };
  const loader = await sign(readFileSync(join(dirname(stub), "systemd-bootx64.efi")));
  const uki = `EFI/Linux/bootc/bootc_composefs-${id}.efi`;
  const entry = "loader/entries/bootc_small-1-1.conf";
  const path = join(directory, "disk.raw");
  makeDisk(path, stage, repository.commands, {
    "EFI/BOOT/BOOTX64.EFI": loader,
    "EFI/systemd/systemd-bootx64.efi": loader,
    [uki]: await sign(await makeUki(`rw quiet composefs=${id}`)),
    "loader/loader.conf": "timeout 5\n",
    [entry]: `title Small OS 1\nversion 1\nuki /${uki}\nsort-key bootc-small-0\n`,
  });
  return {
    path,
    id,
    certificate: join(directory, "keys/db.crt"),
    uki,
    entry,
    sign,
    buildUki: makeUki,
    object: (name) => toHex(computeFsverityDigest(pattern(CONTENTS[name as keyof typeof CONTENTS]), algorithm)),
  };
}

/** Bytes that no block of which is like another. */
function pattern(size: number): Uint8Array {
  const bytes = Buffer.alloc(size, "sealed ");
  for (let at = 0; at + 4 <= size; at += 1024) bytes.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at);
  return bytes;
}

/** A repository in a directory, every file with its fs-verity metadata behind its end. */
class StagedRepository {
  readonly #path: string;
  readonly #algorithm: VerityAlgorithm;
  /** What debugfs has to do afterwards. */
  readonly commands: string[] = [];
  readonly #known = new Set<string>();

  constructor(path: string, algorithm: VerityAlgorithm) {
    this.#path = path;
    this.#algorithm = algorithm;
    for (const name of ["objects", "images", "streams"]) mkdirSync(join(path, name), { recursive: true });
  }

  addFile(name: string, bytes: Uint8Array): void {
    mkdirSync(dirname(join(this.#path, name)), { recursive: true });
    writeFileSync(join(this.#path, name), withVerity(bytes, this.#algorithm));
    this.commands.push(...verityCommands(`/composefs/${name}`, bytes.length));
  }

  addObject(bytes: Uint8Array): string {
    const hex = toHex(computeFsverityDigest(bytes, this.#algorithm));
    if (!this.#known.has(hex)) this.addFile(`objects/${hex.slice(0, 2)}/${hex.slice(2)}`, bytes);
    this.#known.add(hex);
    return hex;
  }

  addLink(directory: string, name: string, bytes: Uint8Array): void {
    const hex = this.addObject(bytes);
    symlinkSync(`../objects/${hex.slice(0, 2)}/${hex.slice(2)}`, join(this.#path, directory, name));
  }
}

export const verityCommands = (path: string, size: number): string[] => [
  `sif ${path} size ${size}`,
  `sif ${path} flags 0x180000`,
];

/** Data, a hole up to 64 KiB, the Merkle tree, the descriptor, and its size in the last four bytes. */
export function withVerity(bytes: Uint8Array, algorithm: VerityAlgorithm): Uint8Array {
  const leaves = new Uint8Array(leavesSize(bytes.length, algorithm));
  hashBlocks(bytes, algorithm, leaves, 0);
  const { levels, rootHash } = buildMerkleTree(leaves, algorithm);
  const tree = Buffer.concat(levels);
  const treeAt = verityOffset(bytes.length);
  const full = Buffer.alloc(alignUp(treeAt + tree.length + 256 + 4, 4096));
  full.set(bytes);
  full.set(tree, treeAt);
  full.set(encodeDescriptor(bytes.length, rootHash, algorithm), treeAt + tree.length);
  full.writeUInt32LE(256, full.length - 4);
  return full;
}

function stageState(stage: string, id: string): void {
  const deployment = join(stage, "state/deploy", id);
  mkdirSync(join(deployment, "etc"), { recursive: true });
  mkdirSync(join(stage, "state/os/default/var"), { recursive: true });
  symlinkSync("../../os/default/var", join(deployment, "var"));
  // SHA-256 of "kernelinitrd", by sha256sum.
  const bootDigest = run("sh", ["-c", "printf kernelinitrd | sha256sum"]).slice(0, 64);
  writeFileSync(
    join(deployment, `${id}.origin`),
    `[origin]\ncontainer-image-reference=ostree-unverified-image:docker://registry.example/os:1\n\n` +
      `[boot]\nboot_type=uki\ndigest=${bootDigest}\n\n[image]\nmanifest_digest=sha256:${"1".repeat(64)}\n`,
  );
}

function makeDisk(
  path: string,
  stage: string,
  commands: readonly string[],
  esp: Readonly<Record<string, string | Uint8Array>>,
): void {
  writeFileSync(path, "");
  truncateSync(path, ROOT_OFFSET + ROOT_SIZE + MIB);
  const table = [
    "label: gpt",
    `start=${ESP_OFFSET / 512}, size=${ESP_SIZE / 512}, name=EFI-SYSTEM, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b`,
    `start=${ROOT_OFFSET / 512}, size=${ROOT_SIZE / 512}, name=root, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709`,
  ];
  run("sfdisk", ["--quiet", path], `${table.join("\n")}\n`);

  const part = `${path}.part`;
  writeFileSync(part, "");
  truncateSync(part, ESP_SIZE);
  run("mkfs.fat", ["-F", "32", "-s", "1", "-n", "EFI-SYSTEM", part]);
  putPart(part, path, ESP_OFFSET);
  for (const [name, content] of Object.entries(esp)) putOnEsp(path, name, content);

  truncateSync(part, ROOT_SIZE);
  run("mke2fs", [
    "-q",
    "-F",
    "-t",
    "ext4",
    "-b",
    "4096",
    "-L",
    "root",
    "-O",
    "verity",
    "-E",
    "root_owner=0:0",
    "-d",
    stage,
    part,
    "64M",
  ]);
  putPart(part, path, ROOT_OFFSET);
  debugfs(path, commands);
}

function putPart(part: string, disk: string, offset: number): void {
  run("dd", [`if=${part}`, `of=${disk}`, "bs=1M", `seek=${offset / MIB}`, "conv=notrunc,sparse"]);
  writeFileSync(part, "");
}

/** Copies a file to the ESP, over one that is there. */
export function putOnEsp(disk: string, name: string, content: string | Uint8Array): void {
  const file = `${disk}.file`;
  writeFileSync(file, content);
  const image = `${disk}@@${ESP_OFFSET}`;
  const parents = name.split("/").slice(0, -1);
  for (const [index] of parents.entries()) {
    const directory = parents.slice(0, index + 1).join("/");
    run("sh", ["-c", `mdir -i "$1" "::/$2" >/dev/null 2>&1 || mmd -i "$1" "::/$2"`, "sh", image, directory]);
  }
  run("mcopy", ["-o", "-i", image, file, `::/${name}`]);
}

export const removeFromEsp = (disk: string, name: string): string =>
  run("mdel", ["-i", `${disk}@@${ESP_OFFSET}`, `::/${name}`]);

/** Runs commands on the root file system. */
export function debugfs(disk: string, commands: readonly string[]): void {
  const said = run("debugfs", ["-w", "-f", "-", `${disk}?offset=${ROOT_OFFSET}`], `${commands.join("\n")}\n`);
  // debugfs says what went wrong, and exits with 0 all the same.
  const complaints = said.split("\n").filter((line) => line !== "" && !/^debugfs[: ]|^Allocated inode/.test(line));
  if (complaints.length > 0) throw new Error(complaints.join("\n"));
}

/** The byte of the disk where a byte of a file on the root file system is. */
export function placeOf(disk: string, path: string, at: number): number {
  const said = run("debugfs", ["-R", `bmap ${path} ${Math.floor(at / 4096)}`, `${disk}?offset=${ROOT_OFFSET}`]);
  const block = Number(/^(\d+)$/m.exec(said)?.[1]);
  if (!(block > 0)) throw new Error(`${path}: no block at byte ${at}: ${said}`);
  return ROOT_OFFSET + block * 4096 + (at % 4096);
}

export function copyDisk(disk: SealedDisk, to: string): string {
  run("cp", ["--sparse=always", disk.path, to]);
  return to;
}
