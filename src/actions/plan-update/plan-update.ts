/** What an update costs a host: by layers, by objects, by deltas, and where the bytes come from. */
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { NotFoundError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { findComponents } from "../../model/chunks/index.ts";
import { findPackageOwners } from "../../model/packages/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import { isReadable, openContents } from "./contents.ts";
import { type MeasuredPair, measurePairs, type ObjectPair } from "./measure.ts";
import { measureMetadata } from "./metadata.ts";
import { listFiles, missingObjects, type StoredObject, type TreeFiles } from "./objects.ts";
import { openSides, requireImages } from "./open-sides.ts";
import { OldFiles } from "./pair-files.ts";
import { measureRechunked } from "./rechunked.ts";
import type { UpdateReport } from "./report.ts";
import { amountOf, compareLayers, describeFile, describeSide, mostFirst, sum, sumByComponent } from "./tally.ts";

export interface PlanUpdateOptions {
  /** Read no contents: layers and objects alone. */
  readonly noDeltas?: boolean;
  /** Also what it would be by layers if both images were cut by content. */
  readonly rechunked?: boolean;
  readonly platform?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/**
 * Measures what a host that has FROM fetches for TO. Contents are read only where they differ, and only a part of a file
 * is held at a time.
 *
 * @throws {UsageError} `plan-update.algorithms-differ`; `plan-update.not-images` when `rechunked` is asked for other
 *   things than two images; and whatever reading the sources throws
 */
export async function planUpdate(from: string, to: string, options: PlanUpdateOptions = {}): Promise<UpdateReport> {
  const { noDeltas = false, progress = silent, rechunked = false, signal } = options;
  await using stack = new AsyncDisposableStack();
  const reading = { ...options, progress };
  const { algorithm, held, wanted } = await openSides(from, to, reading, stack);
  const [before, after] = [listFiles(held.tree, algorithm), listFiles(wanted.tree, algorithm)];
  const missing = missingObjects(before, after);
  const notes: UpdateReport["notes"][number][] = [];

  progress({ step: "update.components", text: "finding out what belongs together" });
  const componentOf = await findComponentNames(wanted);
  const measured = noDeltas ? null : await measure(held, wanted, { before, after, missing }, reading, notes);
  const files = missing.map((object, index) => describeFile(object, measured?.[index], componentOf)).sort(mostFirst);
  const report = {
    from: describeSide(held, before),
    to: describeSide(wanted, after),
    layers: held.image && wanted.image ? compareLayers(held.image, wanted.image) : null,
    objects: {
      total: amountOf([...after.objects.values()]),
      fetched: amountOf(missing),
      compressed: measured && sum(measured, ({ compressed }) => compressed),
    },
    deltas: measured && {
      size: sum(measured, ({ delta }) => delta),
      based: measured.filter(({ base }) => base !== undefined).length,
    },
    rechunked: rechunked ? await measureRechunked(...requireImages(held, wanted), { progress, signal }) : null,
    components: sumByComponent(files),
    files,
  };
  // Last, for it changes the trees.
  return { ...report, metadata: await measureMetadata(held, wanted, algorithm, noDeltas), notes };
}

/** By path. Of a source without contents no packages are known, only places. */
async function findComponentNames(source: TreeSource): Promise<(path: ByteString) => string> {
  const none = { owners: new Map(), problems: [] };
  const { tree } = source;
  const { owners } = await findPackageOwners(tree, (contents) => source.read(contents)).catch((error: unknown) => {
    if (error instanceof NotFoundError) return none;
    throw error;
  });
  const names = new Map(
    findComponents(tree, owners).components.flatMap(({ entries, name }) => entries.map(({ path }) => [path, name])),
  );
  return (path) => names.get(path) ?? "/boot";
}

interface Difference {
  readonly before: TreeFiles;
  readonly after: TreeFiles;
  readonly missing: readonly StoredObject[];
}

async function measure(
  held: TreeSource,
  wanted: TreeSource,
  { after, before, missing }: Difference,
  { progress, signal }: { readonly progress: Progress; readonly signal?: AbortSignal | undefined },
  notes: UpdateReport["notes"][number][],
): Promise<readonly MeasuredPair[] | null> {
  const old = new OldFiles(before, after);
  const pairs: ObjectPair[] = missing.map((object) => ({ object, base: old.find(object) }));
  const contents = {
    old: pairs.flatMap(({ base }) => base?.content ?? []),
    new: missing.map(({ content }) => content),
  };
  for (const [source, list] of [[held, contents.old] as const, [wanted, contents.new] as const]) {
    if (list.every(isReadable)) continue;
    const message = `${source.name} has no contents of files: nothing is compressed, and there are no deltas`;
    notes.push({ code: "plan-update.contents-missing", message });
    return null;
  }
  await using stack = new AsyncDisposableStack();
  const readOld = await openContents(held, contents.old, { progress, signal }, stack);
  const readNew = await openContents(wanted, contents.new, { progress, signal }, stack);
  return await measurePairs(pairs, { readNew, readOld, progress, signal });
}
