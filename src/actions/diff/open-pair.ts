import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { parseReference } from "../../formats/oci/index.ts";
import { UsageError } from "../../lib/errors.ts";
import { openTreeSource, type SourceOptions, type TreeSource } from "../../model/source/tree-source.ts";
import { algorithmOf } from "./content.ts";

export interface SourcePair {
  readonly a: TreeSource;
  readonly b: TreeSource;
  /** Every file of both has a digest of this one. */
  readonly algorithm: VerityAlgorithm;
}

const DEFAULT: VerityAlgorithm = "sha512";

/**
 * Opens two sources with digests that can be compared: a dumpfile and a composefs image have theirs, whatever else
 * there is gets the same. The caller disposes of both.
 *
 * @throws {UsageError} `diff.algorithms-differ` when both have digests, and of different algorithms
 */
export async function openPair(
  names: readonly [a: string, b: string],
  options: Omit<SourceOptions, "algorithms">,
  stack: AsyncDisposableStack,
): Promise<SourcePair> {
  const open = async (name: string, algorithm: VerityAlgorithm): Promise<TreeSource> =>
    stack.use(await openTreeSource(name, { ...options, algorithms: [algorithm] }));

  // The side that has its digests goes first: the other one follows it.
  const order = hasDigests(names[1]) && !hasDigests(names[0]) ? ([1, 0] as const) : ([0, 1] as const);
  const first = await open(names[order[0]], DEFAULT);
  const algorithm = hasDigests(names[order[0]]) ? algorithmOf(first.tree) : DEFAULT;
  const second = await open(names[order[1]], algorithm ?? DEFAULT);
  const other = hasDigests(names[order[1]]) ? algorithmOf(second.tree) : algorithm;
  if (algorithm !== undefined && other !== undefined && algorithm !== other) {
    const message = `${first.name} has ${algorithm} digests and ${second.name} has ${other}, expected one algorithm`;
    const hint = `write both with the same: ${Object.keys(VERITY_ALGORITHMS).join(" or ")}`;
    throw new UsageError("diff.algorithms-differ", message, { hint });
  }
  const [a, b] = order[0] === 0 ? [first, second] : [second, first];
  return { a, b, algorithm: algorithm ?? other ?? DEFAULT };
}

const hasDigests = (name: string): boolean => ["dump", "erofs"].includes(parseReference(name).transport);
