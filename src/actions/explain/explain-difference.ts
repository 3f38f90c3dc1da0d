/** Whether two things give the same digest, and why not. */
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { UsageError } from "../../lib/errors.ts";
import {
  COMPOSEFS_FORMATS,
  type ComposefsFormat,
  computeComposefsDigest,
  DEFAULT_COMPOSEFS_FORMAT,
  parseComposefsFormat,
} from "../../model/composefs/index.ts";
import { compareTrees } from "./compare-trees.ts";
import { readEmbeddedDump } from "./embedded-dump.ts";
import { type Cause, Findings } from "./findings.ts";
import {
  algorithmOf,
  dumpSide,
  finishSide,
  isFinished,
  type OpenSide,
  openSide,
  type Side,
  type SideOptions,
  type SideReport,
} from "./side.ts";

export interface ExplainOptions extends SideOptions {
  /** Name of a format. Default: V1 with the algorithm of the dump or EROFS image, else `v1-sha512`. */
  readonly format?: string | undefined;
  /** Differences of each cause that are shown. */
  readonly maxExamples?: number;
}

export interface ExplainReport {
  readonly equal: boolean;
  readonly a: SideReport;
  readonly b: SideReport;
  /** The trees are one: only the way to the digest differs. */
  readonly sameTree: boolean;
  /** The probable root cause first; empty when the digests are equal. */
  readonly causes: readonly Cause[];
}

/** Enough to see a pattern. */
const DEFAULT_EXAMPLES = 5;

/**
 * Compares the digests of two references, or of an image and the dump that was sealed into it.
 *
 * Images and directories are transformed as for a digest, dumps and EROFS images are taken as they are. A directory
 * that no layer declares is made up and reported, where a digest would be refused.
 *
 * @param second without it, the dump in /boot of `first` is compared with what `first` gives
 * @throws {UsageError} `explain.second-missing`, `explain.format.algorithm`, `composefs.format.unknown`
 * @throws as reading the sources and their transforms
 */
export async function explainDifference(
  first: string,
  second: string | undefined,
  options: ExplainOptions = {},
): Promise<ExplainReport> {
  const wanted = options.format === undefined ? undefined : parseComposefsFormat(options.format);
  const [a, b] =
    second === undefined ? await openWithDump(first, wanted, options) : await openBoth(first, second, wanted, options);
  return reportOf(a, b, options.maxExamples ?? DEFAULT_EXAMPLES);
}

function reportOf(a: Side, b: Side, maxExamples: number): ExplainReport {
  const sides = { a: a.report, b: b.report };
  if (a.report.digest === b.report.digest) return { equal: true, ...sides, sameTree: true, causes: [] };
  const findings = new Findings(maxExamples);
  // V2 stores no nanoseconds: the tree of a V2 image has none, and a V2 digest has no part of them.
  compareTrees(a, b, findings, { nanoseconds: a.format.version < 2 && b.format.version < 2 });
  const sameTree = findings.causes().length === 0;
  if (a.format !== b.format) {
    findings.add("explain.format", () => ({ path: "/", field: "format", ...formatExample(a, b) }));
  } else if (sameTree) {
    findings.add("explain.encoding", () => ({ path: "/", field: "digest", a: a.report.digest, b: b.report.digest }));
  }
  return { equal: false, ...sides, sameTree, causes: findings.causes() };
}

/** Also says what a side would have in the other's format, which tells whether the format is all. */
function formatExample(a: Side, b: Side): { a: string; b: string; note?: string } {
  const values = { a: a.format.name, b: b.format.name };
  if (a.format.algorithm !== b.format.algorithm) return values;
  const inFormatOfA = toHex(computeComposefsDigest(b.tree, a.format));
  const same = inFormatOfA === a.report.digest ? "the same" : inFormatOfA;
  return { ...values, note: `in ${a.format.name} the second side has ${same}` };
}

/** Finished trees first: they say with which algorithm the others are to be read. */
async function openBoth(
  first: string,
  second: string,
  wanted: ComposefsFormat | undefined,
  options: SideOptions,
): Promise<[Side, Side]> {
  const sides: Partial<Record<"a" | "b", OpenSide>> = {};
  await using stack = new AsyncDisposableStack();
  const open = async (name: "a" | "b", algorithm: VerityAlgorithm): Promise<OpenSide> => {
    sides[name] ??= stack.use(await openSide(name === "a" ? first : second, algorithm, options));
    return sides[name];
  };
  const start = wanted ?? DEFAULT_COMPOSEFS_FORMAT;
  let format = start;
  for (const [name, reference] of [["a", first] as const, ["b", second] as const]) {
    if (isFinished(reference)) format = withAlgorithmOf(await open(name, start.algorithm), format, wanted);
  }
  const a = await open("a", format.algorithm);
  const b = await open("b", format.algorithm);
  const { plain = false } = options;
  return [
    await finishSide(a, withAlgorithmOf(a, format, undefined), plain),
    await finishSide(b, withAlgorithmOf(b, format, undefined), plain),
  ];
}

/** The same version with the algorithm that the tree has its digests in. */
function withAlgorithmOf(
  { name, tree }: { readonly name: string; readonly tree: OpenSide["tree"] },
  format: ComposefsFormat,
  wanted: ComposefsFormat | undefined,
): ComposefsFormat {
  const algorithm = algorithmOf(tree) ?? format.algorithm;
  if (wanted !== undefined && wanted.algorithm !== algorithm) {
    throw new UsageError(
      "explain.format.algorithm",
      `${name}: found ${algorithm} digests, expected those of the format ${wanted.name}`,
      { hint: `leave out --format, or say one with ${algorithm}` },
    );
  }
  const { version } = format;
  return COMPOSEFS_FORMATS.find((one) => one.version === version && one.algorithm === algorithm) ?? format;
}

async function openWithDump(
  reference: string,
  wanted: ComposefsFormat | undefined,
  options: SideOptions,
): Promise<[Side, Side]> {
  const start = wanted ?? DEFAULT_COMPOSEFS_FORMAT;
  let source = await openSide(reference, start.algorithm, options);
  try {
    const dump = await readEmbeddedDump(source);
    if (dump === undefined) throw secondMissing(reference);
    const format = withAlgorithmOf({ name: dump.path, tree: dump.tree }, start, wanted);
    if (format.algorithm !== start.algorithm) {
      await source[Symbol.asyncDispose]();
      source = await openSide(reference, format.algorithm, options);
    }
    const name = `${reference} ${dump.path}`;
    return [dumpSide(name, dump.tree, format), await finishSide(source, format, options.plain ?? false)];
  } finally {
    await source[Symbol.asyncDispose]();
  }
}

function secondMissing(reference: string): UsageError {
  return new UsageError("explain.second-missing", `${reference}: found no dump in /boot, and nothing to compare with`, {
    hint: "name a second image, directory, dump or EROFS image, or a digest with --against",
  });
}
