import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { parseReference } from "../../formats/oci/index.ts";
import { UsageError } from "../../lib/errors.ts";
import { type ImageTree, openTreeSource, type SourceOptions, type TreeSource } from "../../model/source/tree-source.ts";
import { listFiles } from "./objects.ts";

export interface Sides {
  readonly held: TreeSource;
  readonly wanted: TreeSource;
  /** Every file of both has a digest of this one. */
  readonly algorithm: VerityAlgorithm;
}

const DEFAULT: VerityAlgorithm = "sha512";

/**
 * Opens both. A dumpfile and a composefs image have the digests they have; whatever else there is gets the same.
 *
 * @throws {UsageError} `plan-update.algorithms-differ`
 */
export async function openSides(
  from: string,
  to: string,
  options: Omit<SourceOptions, "algorithms">,
  stack: AsyncDisposableStack,
): Promise<Sides> {
  const open = async (name: string, algorithm: VerityAlgorithm): Promise<TreeSource> =>
    stack.use(await openTreeSource(name, { ...options, algorithms: [algorithm] }));
  const wantedFirst = isFixed(to) && !isFixed(from);
  const first = await open(wantedFirst ? to : from, DEFAULT);
  const algorithm = algorithmOf(first) ?? DEFAULT;
  const second = await open(wantedFirst ? from : to, algorithm);
  const other = algorithmOf(second) ?? algorithm;
  if (other !== algorithm) {
    const message = `${first.name} has ${algorithm} digests and ${second.name} has ${other}, expected one algorithm`;
    const hint = `write both with the same: ${Object.keys(VERITY_ALGORITHMS).join(" or ")}`;
    throw new UsageError("plan-update.algorithms-differ", message, { hint });
  }
  return { held: wantedFirst ? second : first, wanted: wantedFirst ? first : second, algorithm };
}

const isFixed = (name: string): boolean => ["dump", "erofs"].includes(parseReference(name).transport);

/** Of the first file that has a digest. */
function algorithmOf({ tree }: TreeSource): VerityAlgorithm | undefined {
  return (Object.keys(VERITY_ALGORITHMS) as VerityAlgorithm[]).find(
    (algorithm) => listFiles(tree, algorithm).objects.size > 0,
  );
}

/** @throws {UsageError} `plan-update.not-images` */
export function requireImages(...sources: [TreeSource, TreeSource]): [ImageTree, ImageTree] {
  const other = sources.find(({ image }) => image === undefined);
  if (other === undefined) return sources as [ImageTree, ImageTree];
  throw new UsageError("plan-update.not-images", `${other.name}: only the layers of images can be cut by content`);
}
