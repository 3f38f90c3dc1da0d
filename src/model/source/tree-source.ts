/**
 * The one road from what a user names to a tree: an image is read layer by layer, a directory is only another way to
 * fill a tree, a dumpfile or a composefs image is a tree as it is.
 */
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { parseReference } from "../../formats/oci/index.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { treeFromDump, treeFromErofs } from "../composefs/index.ts";
import { loadFile } from "../host-io/files.ts";
import type { Image } from "../image/image.ts";
import { openImage } from "../image/open-image.ts";
import { openLayerCache } from "../layer/cache.ts";
import { readContents } from "../layer/contents.ts";
import { digestFiles } from "../layer/digest-files.ts";
import type { LayerRecord } from "../layer/entry.ts";
import { type ScanOptions, scanLayers } from "../layer/scan.ts";
import type { Registries } from "../registry/index.ts";
import { type ApplyOptions, treeFromLayers } from "../tree/apply.ts";
import { readDirectory } from "../tree/from-directory.ts";
import type { Content, Tree } from "../tree/tree.ts";

export interface SourceOptions {
  /** fs-verity digests to compute of every file. */
  readonly algorithms: readonly VerityAlgorithm[];
  readonly platform?: string | undefined;
  /** Needed for an image in a registry. */
  readonly registries?: Registries | undefined;
  /** Where what layers say is kept; without it every layer is read. */
  readonly cacheDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
  /** How the layers of an image become a tree. */
  readonly apply?: ApplyOptions | undefined;
  /** Shows the tars of an image to somebody as they are read. */
  readonly tap?: ScanOptions["tap"] | undefined;
  /** Workers for an image; without, some are started. */
  readonly pool?: WorkerPool | undefined;
}

export interface TreeSource extends AsyncDisposable {
  /** The reference as the user wrote it. */
  readonly name: string;
  readonly kind: "image" | "directory" | "dump" | "erofs";
  /** The merged tree before any transform. It is the caller's to change. */
  readonly tree: Tree;
  /** Where `kind` is `image`. */
  readonly image?: Image;
  /** What each layer of the image says, lowest first. */
  readonly layers?: readonly LayerRecord[];
  /** The file itself where `kind` is `erofs`. */
  readonly erofs?: Uint8Array;
  /** Bytes of files of the tree, each checked against its digest; one pass over each layer that is involved. */
  read(contents: readonly Content[]): Promise<Uint8Array[]>;
}

/** What reading an image gives. */
export type ImageTree = TreeSource & { readonly image: Image; readonly layers: readonly LayerRecord[] };

/** Safety limit: a dump of a million files has about 400 MB. */
const MAX_DUMP_SIZE = 1 << 30;

/** Safety limit: the composefs image of a million files has about 300 MB. */
const MAX_EROFS_SIZE = 1 << 30;

/** Safety limit for one file that is read into memory; kernels and initramfs images stay far below. */
const MAX_FILE_SIZE = 1 << 30;

/** Opens what a reference names and reads it into a tree. */
export async function openTreeSource(name: string, options: SourceOptions): Promise<TreeSource> {
  const { platform, registries, signal } = options;
  const reference = parseReference(name);
  if (reference.transport === "dump") return await openDump(name, reference.path);
  if (reference.transport === "erofs") return await openErofsFile(name, reference.path);
  if (reference.transport === "dir") return await openDirectory(name, reference.path, options);
  return await readImage(await openImage(name, defined({ platform, registries, signal })), options);
}

/** Reads an open image into a tree. Closing the source closes the image. */
export async function readImage(image: Image, options: SourceOptions): Promise<ImageTree> {
  const { algorithms, apply, cacheDirectory, pool, progress, signal, tap } = options;
  try {
    const cache = cacheDirectory === undefined ? undefined : await openLayerCache(cacheDirectory);
    const records = await scanLayers(image.layers, { algorithms, ...defined({ cache, pool, progress, signal, tap }) });
    return {
      name: image.name,
      kind: "image",
      image,
      layers: records,
      tree: treeFromLayers(records, apply),
      read: (contents) => readContents(image, contents, { maxSize: MAX_FILE_SIZE }),
      [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
    };
  } catch (error) {
    await image[Symbol.asyncDispose]();
    throw error;
  }
}

async function openDirectory(name: string, path: string, options: SourceOptions): Promise<TreeSource> {
  const { algorithms, progress = silent, signal } = options;
  const tree = await readDirectory(path, { algorithms, digestFiles, progress, ...defined({ signal }) });
  return { name, kind: "directory", tree, ...withoutLayers };
}

async function openDump(name: string, path: string): Promise<TreeSource> {
  const tree = treeFromDump(await loadFile(path, "dumpfile", MAX_DUMP_SIZE, "dumpfile.too-large"));
  return { name, kind: "dump", tree, ...withoutLayers };
}

async function openErofsFile(name: string, path: string): Promise<TreeSource> {
  const erofs = await loadFile(path, "EROFS image", MAX_EROFS_SIZE, "erofs.too-large");
  return { name, kind: "erofs", tree: treeFromErofs(erofs), erofs, ...withoutLayers };
}

const withoutLayers = {
  read: (contents: readonly Content[]) => readContents({ layers: [] }, contents, { maxSize: MAX_FILE_SIZE }),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** An options object without the members that are `undefined`. */
function defined<T extends object>(options: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
