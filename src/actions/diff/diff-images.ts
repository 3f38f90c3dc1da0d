/** What changed between two images, or between whatever else gives a tree. */
import { computeFsverityDigest, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { computeComposefsDigest, parseComposefsFormat } from "../../model/composefs/index.ts";
import { parseOsRelease } from "../../model/os/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import type { Tree } from "../../model/tree/tree.ts";
import { nodesOf } from "../../model/tree/walk.ts";
import { compareTrees } from "./compare-trees.ts";
import { isSameContent } from "./content.ts";
import { reportFiles, reportPrivileges } from "./entries.ts";
import { reportFetch } from "./fetch.ts";
import { reportInitramfs } from "./initramfs.ts";
import { reportCommandLine, reportKargs } from "./kernel-arguments.ts";
import { Notes } from "./notes.ts";
import { openPair } from "./open-pair.ts";
import { reportPackages } from "./packages.ts";
import type { DiffReport, SideReport } from "./report.ts";
import { loadSides, type Side } from "./subjects.ts";
import { reportUkis } from "./ukis.ts";
import { reportUnits } from "./units.ts";

export interface DiffOptions {
  /** Also list the entries of which only the time differs. */
  readonly times?: boolean;
  readonly platform?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/**
 * Compares the merged trees of two sources. Files are compared by digest; only what a section looks into is read, and
 * only where it differs.
 *
 * @throws {UsageError} `diff.algorithms-differ`, and whatever reading the sources throws; what else cannot be looked
 *   into is in the `notes` of the report
 */
export async function diffImages(nameA: string, nameB: string, options: DiffOptions = {}): Promise<DiffReport> {
  const { times = false, progress = silent, ...rest } = options;
  await using stack = new AsyncDisposableStack();
  const { a, algorithm, b } = await openPair([nameA, nameB], { ...rest, progress }, stack);
  const notes = new Notes();
  const isSame = (one: Parameters<typeof isSameContent>[0], other: typeof one) => isSameContent(one, other, algorithm);

  progress({ step: "diff", text: "comparing the trees" });
  const { changes, namesAfter, namesBefore, sizes } = compareTrees(a.tree, b.tree, isSame);
  const [total, ...directories] = sizes;
  const { after = 0, before = 0 } = total ?? {};
  const sides = await loadSides(a, b, isSame, notes);

  const report: Omit<DiffReport, "a" | "b" | "notes"> = {
    differs: changes.length > 0,
    privileges: reportPrivileges(changes),
    units: reportUnits(changes),
    kernelArguments: { kargs: reportKargs(sides, notes), commandLine: reportCommandLine(sides, notes) },
    ukis: reportUkis(sides, notes),
    initramfs: reportInitramfs(sides, notes),
    packages: reportPackages(sides, notes),
    files: reportFiles(changes, { algorithm, namesBefore, namesAfter, times }),
    sizes: { before, after, directories },
    fetch: reportFetch(a, b, algorithm),
  };
  // Last, for the digest is that of a tree without boot files.
  const sideA = await describe(sides.a, before, algorithm, notes);
  const sideB = await describe(sides.b, after, algorithm, notes);
  return { a: sideA, b: sideB, ...report, notes: notes.list };
}

/** Changes the tree of the side. */
async function describe(side: Side, size: number, algorithm: VerityAlgorithm, notes: Notes): Promise<SideReport> {
  const { osRelease, source } = side;
  const { kernel } = side.subjects;
  const entries = countEntries(source.tree);
  const digest = await notes.attemptAsync(`${source.name}: digest`, () => computeDigest(source, algorithm));
  const os = osRelease === undefined ? undefined : parseOsRelease(osRelease);
  return {
    source: source.name,
    kind: source.kind,
    ...(source.image === undefined ? {} : { manifestDigest: source.image.manifestDigest }),
    digest: digest ?? null,
    os:
      os === undefined
        ? null
        : { id: os.id, ...(os.versionId === undefined ? {} : { versionId: os.versionId }), name: os.name },
    kernel: kernel === undefined ? null : { version: kernel.version, unified: kernel.unified },
    entries,
    size,
  };
}

const countEntries = ({ root }: Tree): number => {
  let count = -1;
  for (const _ of nodesOf(root)) count += 1;
  return count;
};

async function computeDigest(source: TreeSource, algorithm: VerityAlgorithm) {
  if (source.erofs !== undefined) {
    return { format: `erofs-${algorithm}`, hex: toHex(computeFsverityDigest(source.erofs, algorithm)) };
  }
  const format = parseComposefsFormat(`v1-${algorithm}`);
  await toCanonicalTree(source, false);
  return { format: format.name, hex: toHex(computeComposefsDigest(source.tree, format)) };
}
