/** Valid inputs to start from: data of the project, and what its writers make. */
import { readdirSync, readFileSync } from "node:fs";
import { deflateSync, gzipSync, inflateSync, zstdCompressSync } from "node:zlib";
import { encodeAwsVariables } from "../../src/formats/awsuefi/index.ts";
import { encodeCpio } from "../../src/formats/cpio/index.ts";
import { type Ext4Node, planExt4 } from "../../src/formats/ext4/index.ts";
import { type FatNode, planFat } from "../../src/formats/fat/index.ts";
import { encodeGpt, PARTITION_TYPES } from "../../src/formats/gpt/index.ts";
import { encodeQcow2 } from "../../src/formats/qcow2/index.ts";
import { type ByteString, byteString } from "../../src/lib/bytes/byte-string.ts";
import { crc32cOf } from "../../src/lib/bytes/crc32c.ts";
import { parseGuid } from "../../src/lib/bytes/guid.ts";
import { type Piece, shiftPieces } from "../../src/lib/bytes/piece.ts";
import { sharedFixture, vector } from "../fixtures.ts";
import { meta, xattrs } from "../layers.ts";

const MIB = 1 << 20;

/** The files of a directory whose name ends so, small ones first. */
export function filesIn(directory: string, ending: string, maxSize = 100_000): Uint8Array[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(ending))
    .map((name) => readFileSync(`${directory}/${name}`))
    .filter(({ length }) => length <= maxSize)
    .sort((a, b) => a.length - b.length);
}

export const vectorsIn = (path: string, ending: string): Uint8Array[] => filesIn(vector(path), ending);
export const fixturesIn = (path: string, ending: string): Uint8Array[] => filesIn(sharedFixture(path), ending);
export const texts = (...values: string[]): Uint8Array[] => values.map((text) => Buffer.from(text));

/** Contents here are bytes. */
function imageOf(size: number, pieces: Iterable<Piece<Uint8Array>>): Uint8Array {
  const image = new Uint8Array(size);
  for (const piece of pieces) image.set("bytes" in piece ? piece.bytes : piece.content, piece.offset);
  return image;
}

const file = (size: number) => ({ kind: "file" as const, size, content: Buffer.alloc(size, "content ") });

export function fatImage(): Uint8Array {
  const entries = (given: Readonly<Record<string, FatNode<Uint8Array>>>) => ({
    kind: "directory" as const,
    entries: new Map(Object.entries(given)),
  });
  const root = entries({ EFI: entries({ "a long name": file(5000) }), "B.EFI": file(1), empty: file(0) });
  const options = { size: 5 * MIB, volumeId: 1, time: 1_700_000_000, label: "ESP" };
  return imageOf(options.size, planFat(root, options).pieces());
}

export function ext4Image(): Uint8Array {
  const entries = (given: Readonly<Record<string, Ext4Node<Uint8Array>>>) => ({
    kind: "directory" as const,
    meta: meta({ mode: 0o755 }),
    entries: new Map(Object.entries(given).map(([name, node]) => [byteString(name), node])),
  });
  const labelled = meta({ xattrs: xattrs({ "security.selinux": "label", "user.a": "x".repeat(200) }) });
  const root = entries({
    dir: entries(
      Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`name ${i}`, { ...file(i), meta: meta() }])),
    ),
    file: { ...file(20_000), meta: labelled },
    link: { kind: "symlink", meta: meta(), target: "t".repeat(100) as ByteString },
    dev: { kind: "char", meta: meta(), rdev: 259 },
  });
  const guid = new Uint8Array(16).fill(7);
  const plan = planExt4(root, { uuid: guid, hashSeed: guid, time: { sec: 1n, nsec: 0 } });
  return imageOf(plan.size, plan.pieces());
}

export function gptDisk(): Uint8Array {
  const guid = parseGuid("11111111-2222-3333-4444-555555555555");
  const partition = { typeGuid: PARTITION_TYPES.esp, uniqueGuid: guid, firstLba: 40, lastLba: 80, attributes: 0n };
  const table = { diskGuid: guid, partitions: [{ ...partition, name: "ESP" }] };
  return imageOf(128 * 512, encodeGpt(128 * 512, table));
}

/** A disk with an ESP, a boot entry, and a repository with a deployment: as small as file systems can be. */
export function installedDisk(): Uint8Array {
  const id = "ab".repeat(64);
  const uuid = new Uint8Array(16).fill(7);
  const bytes = (text: string) => ({ kind: "file" as const, size: text.length, content: Buffer.from(text) });
  const folder = (given: Readonly<Record<string, FatNode<Uint8Array>>>) => ({
    kind: "directory" as const,
    entries: new Map(Object.entries(given)),
  });
  const entry = `title A\nversion 1\nlinux /vmlinuz\noptions rw composefs=${id}\nsort-key a\n`;
  const esp = planFat(folder({ loader: folder({ entries: folder({ "a-1.conf": bytes(entry) }) }) }), {
    size: 3 * MIB,
    volumeId: 1,
    time: 1_700_000_000,
  });
  const entries = (given: Readonly<Record<string, Ext4Node<Uint8Array>>>) => ({
    kind: "directory" as const,
    meta: meta({ mode: 0o755 }),
    entries: new Map(Object.entries(given).map(([name, node]) => [byteString(name), node])),
  });
  const plain = (text: string) => ({ ...bytes(text), meta: meta() });
  const link = (target: string) => ({ kind: "symlink" as const, meta: meta(), target: byteString(target) });
  const origin = "[origin]\ncontainer-image-reference=a\n[boot]\nboot_type=bls\n[image]\nmanifest_digest=sha256:00\n";
  const root = planExt4(
    entries({
      composefs: entries({
        "meta.json": plain('{ "version": 1, "algorithm": "fsverity-sha512-12" }\n'),
        objects: entries({ ab: entries({ [id.slice(2)]: plain("an object") }) }),
        images: entries({ [id]: link(`../objects/ab/${id.slice(2)}`) }),
        streams: entries({ refs: entries({ oci: entries({ tag: link("../../oci-manifest") }) }) }),
      }),
      state: entries({
        deploy: entries({
          [id]: entries({ etc: entries({}), var: link("../../os/default/var"), [`${id}.origin`]: plain(origin) }),
        }),
      }),
    }),
    { uuid, hashSeed: uuid, time: { sec: 1n, nsec: 0 } },
  );
  const [espLba, rootLba] = [2048, 2048 + (3 * MIB) / 512];
  const partition = (typeGuid: Uint8Array, firstLba: number, size: number) => ({
    typeGuid,
    uniqueGuid: new Uint8Array(16).fill(firstLba % 251),
    firstLba,
    lastLba: firstLba + size / 512 - 1,
    attributes: 0n,
    name: "",
  });
  const size = rootLba * 512 + root.size + MIB;
  const partitions = [
    partition(PARTITION_TYPES.esp, espLba, 3 * MIB),
    partition(PARTITION_TYPES.rootX86_64, rootLba, root.size),
  ];
  return imageOf(size, [
    ...encodeGpt(size, { diskGuid: uuid, partitions }),
    ...shiftPieces(esp.pieces(), espLba * 512),
    ...shiftPieces(root.pieces(), rootLba * 512),
  ]);
}

export async function qcow2Disk(compress: boolean): Promise<Uint8Array> {
  const disk = [
    { offset: 0, bytes: Buffer.alloc(1000, "disk") },
    { offset: 3 * MIB, bytes: Buffer.alloc(99, 1) },
  ];
  const pieces: { offset: number; bytes: Uint8Array }[] = [];
  for await (const { offset, bytes } of encodeQcow2(disk, { size: 4 * MIB, compress })) {
    pieces.push({ offset, bytes: Uint8Array.from(bytes) });
  }
  return imageOf(Math.max(...pieces.map(({ offset, bytes }) => offset + bytes.length)), pieces);
}

/** Initramfs images: plain, compressed, and several behind one another. */
export function initramfses(): Uint8Array[] {
  const node = { mode: 0o100644, uid: 0, gid: 0, mtime: 1 };
  const plain = Buffer.concat([
    ...encodeCpio([
      { path: byteString("etc"), ...node, mode: 0o40755 },
      { path: byteString("etc/initrd-release"), ...node, content: Buffer.from("ID=test\n") },
    ]),
  ]);
  return [plain, gzipSync(plain), zstdCompressSync(plain), Buffer.concat([plain, gzipSync(plain)])];
}

/** The variables within EC2's form, one with everything a variable can have. */
export function awsVariables(): Uint8Array[] {
  const vendor = parseGuid("8be4df61-93ca-11d2-aa0d-00e098032b8c");
  const [time, digest] = [new Uint8Array(16).fill(1), new Uint8Array(32).fill(2)];
  const plain = { name: "SecureBoot", vendor, attributes: 6, data: new Uint8Array(1) };
  const signed = { name: "db", vendor, attributes: 0x27, data: new Uint8Array(70).fill(7), time, digest };
  return [inflateSync(encodeAwsVariables([plain, signed]).subarray(AWS_HEADER_SIZE))];
}

const AWS_HEADER_SIZE = 16;

/** Packed as EC2 has them, with the checksum put right: what is mutated comes past it. */
export function packAwsVariables(body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(AWS_HEADER_SIZE);
  head.write("AMZNUEFI", "latin1");
  const bytes = Buffer.concat([head, deflateSync(body)]);
  bytes.writeUInt32LE(crc32cOf(bytes.subarray(12)), 8);
  return bytes;
}
