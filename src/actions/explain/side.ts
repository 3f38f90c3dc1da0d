import { openErofs } from "../../formats/erofs/index.ts";
import { FsverityHasher, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { parseReference } from "../../formats/oci/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import type { Progress } from "../../lib/progress.ts";
import {
  COMPOSEFS_FORMATS,
  type ComposefsFormat,
  computeComposefsDigest,
  DEFAULT_COMPOSEFS_FORMAT,
} from "../../model/composefs/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import { type Canonical, toCanonicalTree } from "../../model/source/canonical-tree.ts";
import { openTreeSource, type TreeSource } from "../../model/source/tree-source.ts";
import { TreeHistory } from "../../model/tree/history.ts";
import type { Directory, Tree } from "../../model/tree/tree.ts";
import { directoriesOf, nodesOf } from "../../model/tree/walk.ts";
import type { ComparedTree } from "./compare-trees.ts";

export interface SideOptions {
  /** Leave out the boot transform. */
  readonly plain?: boolean;
  readonly platform?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

export interface SideReport extends Canonical {
  readonly reference: string;
  readonly kind: TreeSource["kind"] | "embedded-dump";
  readonly manifestDigest?: string;
  /** Name of the format of `digest`. */
  readonly format: string;
  /** Lower-case hex. */
  readonly digest: string;
  /**
   * Directories that no layer declares, so that composefs-rs refuses the image. Here they have mode 0755, owner 0:0
   * and time 0. Absent for what has no layers.
   */
  readonly undeclaredDirectories?: number;
}

/** One of the two things that are compared. */
export interface Side extends ComparedTree {
  readonly report: SideReport;
  readonly format: ComposefsFormat;
}

/** A source that is open, with what its layers say. */
export type OpenSide = TreeSource & { readonly history?: TreeHistory };

export async function openSide(reference: string, algorithm: VerityAlgorithm, options: SideOptions): Promise<OpenSide> {
  const history = new TreeHistory();
  const { cacheDirectory, platform, progress, registries, signal } = options;
  const source = await openTreeSource(reference, {
    algorithms: [algorithm],
    apply: { history, missingParents: "invent" },
    cacheDirectory,
    platform,
    progress,
    registries,
    signal,
  });
  return source.kind === "image" ? { ...source, history } : source;
}

/** Whether a reference names a finished tree, of one algorithm and never transformed. */
export function isFinished(reference: string): boolean {
  const { transport } = parseReference(reference);
  return transport === "dump" || transport === "erofs";
}

/** Transforms the tree of a source and computes its digest. */
export async function finishSide(source: OpenSide, wanted: ComposefsFormat, plain: boolean): Promise<Side> {
  const { history, image, kind, name, tree } = source;
  const canonical = await toCanonicalTree(source, plain);
  const format = source.erofs === undefined ? wanted : formatOfErofs(source.erofs, tree, wanted.algorithm);
  const digest =
    source.erofs === undefined
      ? computeComposefsDigest(tree, format)
      : new FsverityHasher(format.algorithm).update(source.erofs).digest();
  const undeclared = history === undefined ? {} : { undeclaredDirectories: countUndeclared(tree.root, history) };
  return {
    tree,
    format,
    ...(history === undefined || image === undefined ? {} : { history, layers: image.layers }),
    report: {
      reference: name,
      kind,
      ...(image === undefined ? {} : { manifestDigest: image.manifestDigest }),
      ...canonical,
      format: format.name,
      digest: toHex(digest),
      ...undeclared,
    },
  };
}

/** A tree that was read from a dump inside an image. */
export function dumpSide(reference: string, tree: Tree, format: ComposefsFormat): Side {
  const digest = toHex(computeComposefsDigest(tree, format));
  return {
    tree,
    format,
    report: { reference, kind: "embedded-dump", transform: "none", format: format.name, digest },
  };
}

/** The algorithm of the digests in a tree; `undefined` when it has none. */
export function algorithmOf(tree: Tree): VerityAlgorithm | undefined {
  for (const node of nodesOf(tree.root)) {
    if (node.kind !== "file" || node.content.kind !== "external") continue;
    const [algorithm] = Object.keys(node.content.digests);
    if (algorithm !== undefined) return algorithm as VerityAlgorithm;
  }
  return undefined;
}

function formatOfErofs(bytes: Uint8Array, tree: Tree, wanted: VerityAlgorithm): ComposefsFormat {
  const version = openErofs(bytes).composefsVersion;
  const algorithm = algorithmOf(tree) ?? wanted;
  const format = COMPOSEFS_FORMATS.find((one) => one.version === version && one.algorithm === algorithm);
  return format ?? DEFAULT_COMPOSEFS_FORMAT;
}

export function countUndeclared(root: Directory, history: TreeHistory): number {
  let count = 0;
  for (const directory of directoriesOf(root)) {
    const { declared, undeclared } = history.directory(directory);
    if (declared.length === 0 && undeclared.length > 0) count++;
  }
  return count;
}
