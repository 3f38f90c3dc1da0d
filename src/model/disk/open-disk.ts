import { openQcow2 } from "../../formats/qcow2/index.ts";
import { quote, UnsupportedError } from "../../lib/errors.ts";
import { openInputFile } from "../host-io/files.ts";
import { copyingSource, type DiskSource, fileSource } from "./file-source.ts";

/** How a disk is kept in a file. */
export type DiskFormat = "raw" | "qcow2";

/** What a worker needs to read the same disk: file descriptors are those of the process. */
export interface DiskFile {
  readonly path: string;
  readonly fd: number;
  /** Bytes of the file. */
  readonly fileSize: number;
  readonly format: DiskFormat;
}

/** A disk image opened for reading. */
export interface Disk extends AsyncDisposable {
  readonly file: DiskFile;
  readonly source: DiskSource;
}

/** What else disks come in, by their first bytes. */
const OTHER_FORMATS = [
  { name: "zstd-compressed", magic: [0x28, 0xb5, 0x2f, 0xfd], hint: (path: string) => `zstd -d ${path}` },
  { name: "gzip-compressed", magic: [0x1f, 0x8b], hint: (path: string) => `gunzip ${path}` },
  { name: "xz-compressed", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], hint: (path: string) => `unxz ${path}` },
  { name: "VMDK", magic: [...Buffer.from("KDMV")], hint: convert },
  { name: "VHDX", magic: [...Buffer.from("vhdxfile")], hint: convert },
] as const;

function convert(path: string): string {
  return `qemu-img convert -O raw ${path} disk.raw`;
}

const QCOW2_MAGIC = Buffer.from("QFI\xfb", "latin1");
/** "EFI PART" at the start of the second sector. */
const GPT_MAGIC = { offset: 512, bytes: Buffer.from("EFI PART") } as const;
const HEAD_SIZE = 520;

/** Whether the first bytes of a file say that it is a disk we read. */
export function isDisk(head: Uint8Array): boolean {
  return startsWith(head, QCOW2_MAGIC) || startsWith(head.subarray(GPT_MAGIC.offset), GPT_MAGIC.bytes);
}

/** As `isDisk`, for a path; what cannot be read is none. */
export async function isDiskFile(path: string): Promise<boolean> {
  try {
    await using handle = await openInputFile(path, "disk");
    const head = Buffer.alloc(HEAD_SIZE);
    await handle.read(head, 0, head.length, 0);
    return isDisk(head);
  } catch {
    return false;
  }
}

/** Blocks that are kept of the disk's file. */
const CACHE_SIZE = 8 << 20;

/**
 * Opens a disk image: raw, or qcow2.
 *
 * @throws {UnsupportedError} `disk.format.unsupported`, with the command that makes a raw one; `qcow2.*`
 * @throws {FormatError} `qcow2.*`, `input.not-a-file`
 * @throws {NotFoundError} `input.not-found`
 */
export async function openDisk(path: string): Promise<Disk> {
  const handle = await openInputFile(path, "disk");
  try {
    const head = Buffer.alloc(HEAD_SIZE);
    await handle.read(head, 0, head.length, 0);
    const other = OTHER_FORMATS.find(({ magic }) => startsWith(head, Buffer.from(magic)));
    if (other !== undefined) {
      throw new UnsupportedError("disk.format.unsupported", `disk ${quote(path)}: ${other.name} disks are not read`, {
        hint: other.hint(path),
      });
    }
    const format: DiskFormat = startsWith(head, QCOW2_MAGIC) ? "qcow2" : "raw";
    const file: DiskFile = { path, fd: handle.fd, fileSize: handle.byteSize, format };
    return { file, source: openDiskFile(file, CACHE_SIZE), [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Reads a disk whose file is open. */
export function openDiskFile({ fd, fileSize, format, path }: DiskFile, cacheSize: number): DiskSource {
  const file = fileSource(fd, fileSize, path, cacheSize);
  return format === "raw" ? file : copyingSource(openQcow2(file));
}

const startsWith = (bytes: Uint8Array, magic: Uint8Array): boolean =>
  Buffer.compare(bytes.subarray(0, magic.length), magic) === 0;
