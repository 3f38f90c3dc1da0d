import { closeSync, openSync } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { openFat } from "../../formats/fat/index.ts";
import { FormatError, NotFoundError, quote } from "../../lib/errors.ts";
import { listEspFiles, readEspFile } from "../disk/esp.ts";
import { fileSource } from "../disk/file-source.ts";
import { errnoOf, inputError } from "../host-io/errors.ts";
import { loadFile } from "../host-io/files.ts";
import { loadLoaderText } from "./efi-variables.ts";
import { loadHostText } from "./host-file.ts";
import type { Mount } from "./mountinfo.ts";

export interface HostFile {
  /** Without leading slash, as the names are stored. */
  readonly path: string;
  read(): Promise<Uint8Array>;
}

/** The EFI system partition that a host was started from. */
export interface HostEsp extends Disposable {
  /** Where it was read: a mount point, or a block device. */
  readonly place: string;
  /** By path. */
  readonly files: readonly HostFile[];
}

/** Where systemd, bootc and distributions mount it. */
const MOUNT_POINTS = ["/efi", "/boot/efi", "/boot"];
const FILE_SIZE_MAX = 1 << 30;
/** Safety limits, as for ESPs of disks. */
const DEPTH_MAX = 16;
const FILES_MAX = 10_000;
const CACHE_SIZE = 4 << 20;

/**
 * Opens the ESP. Firmware's variables tell which one it is; when it is not mounted it is read from its block device,
 * without mounting it.
 *
 * @throws {NotFoundError} `host.esp.not-found`
 * @throws {FormatError} `fat.…`, `disk.esp.…`
 */
export async function openHostEsp(root: string, mounts: readonly Mount[]): Promise<HostEsp> {
  const device = await findDevice(root);
  const mounted = mounts.filter(({ type }) => type === "vfat");
  const mount =
    device === undefined
      ? mounted.find(({ mountPoint }) => MOUNT_POINTS.includes(mountPoint))
      : mounted.find(({ source }) => source === device);
  if (mount !== undefined) return await openDirectory(root, mount.mountPoint);
  if (device !== undefined) return await openDevice(root, device);
  throw new NotFoundError(
    "host.esp.not-found",
    "found no EFI system partition: none is mounted, no variable names one",
    {
      hint: "mount it at /efi",
    },
  );
}

/** The block device of the partition that the boot loader was started from, as an absolute path of the host. */
async function findDevice(root: string): Promise<string | undefined> {
  const uuid =
    (await loadLoaderText(root, "LoaderDevicePartUUID")) ?? (await loadLoaderText(root, "StubDevicePartUUID"));
  if (uuid === undefined || !/^[0-9A-Fa-f-]{36}$/.test(uuid)) return undefined;
  const link = join(root, "dev/disk/by-partuuid", uuid.toLowerCase());
  try {
    return `/${relative(await realpath(root), await realpath(link))}`;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw inputError(error, "EFI system partition", link);
  }
}

async function openDirectory(root: string, mountPoint: string): Promise<HostEsp> {
  const top = join(root, mountPoint);
  const files: HostFile[] = [];
  let seen = 0;
  const visit = async (path: string, depth: number): Promise<void> => {
    if (depth > DEPTH_MAX) throw limit("disk.esp.too-deep", quote(path), `at most ${DEPTH_MAX} directories`);
    const entries = await readdir(join(top, path), { withFileTypes: true }).catch((error: unknown) => {
      throw inputError(error, "EFI system partition", join(top, path));
    });
    for (const entry of entries) {
      if (++seen > FILES_MAX) throw limit("disk.esp.too-many-files", "ESP", `at most ${FILES_MAX} files`);
      const child = path === "" ? entry.name : `${path}/${entry.name}`;
      const read = () => loadFile(join(top, child), child, FILE_SIZE_MAX, "disk.esp.file-too-large");
      if (entry.isDirectory()) await visit(child, depth + 1);
      else if (entry.isFile()) files.push({ path: child, read });
    }
  };
  await visit("", 0);
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { place: mountPoint, files, [Symbol.dispose]: () => {} };
}

function limit(code: string, what: string, expected: string): FormatError {
  return new FormatError(code, { what, expected, found: "more" });
}

async function openDevice(root: string, device: string): Promise<HostEsp> {
  const path = join(root, device);
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw inputError(error, "EFI system partition", path);
  }
  using cleanup = new DisposableStack();
  cleanup.defer(() => closeSync(fd));
  const volume = openFat(fileSource(fd, await sizeOf(root, device), path, CACHE_SIZE));
  const files = listEspFiles(volume).map((file) => ({
    path: file.path,
    read: () => Promise.resolve(readEspFile(volume, file)),
  }));
  const owned = cleanup.move();
  return { place: device, files, [Symbol.dispose]: () => owned.dispose() };
}

/** A block device has no size of its own; the kernel tells it in sectors of 512 bytes, whatever those of the disk are. */
async function sizeOf(root: string, device: string): Promise<number> {
  const sectors = await loadHostText(root, `sys/class/block/${basename(device)}/size`, 64);
  return sectors === undefined ? (await stat(join(root, device))).size : Number(sectors) * 512;
}
