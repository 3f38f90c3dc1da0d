/** The composefs digests of an image, a directory, a dumpfile or a composefs image. */
import { Readable } from "node:stream";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import {
  COMPOSEFS_FORMATS,
  type ComposefsFormat,
  computeComposefsDigest,
  DEFAULT_COMPOSEFS_FORMAT,
  dumpTree,
  parseComposefsFormat,
} from "../../model/composefs/index.ts";
import { storeFile } from "../../model/host-io/files.ts";
import type { Registries } from "../../model/registry/index.ts";
import { type Canonical, toCanonicalTree } from "../../model/source/canonical-tree.ts";
import { openTreeSource } from "../../model/source/tree-source.ts";
import type { Tree } from "../../model/tree/tree.ts";
import { nodesOf } from "../../model/tree/walk.ts";

export interface DigestOptions {
  /** Names of formats with commas between them, or `all`. Default: `v1-sha512`. */
  readonly formats?: string | undefined;
  /** Leave out the boot transform. */
  readonly plain?: boolean;
  /** Also write the tree here, as a composefs dumpfile with the digests of the first format's algorithm. */
  readonly dumpfile?: string | undefined;
  readonly platform?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

export interface DigestReport extends Canonical {
  readonly source: string;
  readonly manifestDigest?: string;
  /** Lower-case hex by format. */
  readonly digests: Readonly<Record<string, string>>;
  readonly dumpfile?: string;
}

/** @throws {UsageError} `composefs.format.unknown`; whatever reading the source and its transforms throw */
export async function computeDigests(reference: string, options: DigestOptions = {}): Promise<DigestReport> {
  const { plain = false, dumpfile, progress = silent, ...rest } = options;
  const wanted = parseFormats(options.formats);
  await using source = await openTreeSource(reference, { ...rest, progress, algorithms: algorithmsOf(wanted) });
  const transformed = await toCanonicalTree(source, plain);
  const formats = options.formats === ALL ? wanted.filter(hasDigestsFor(source.tree)) : wanted;

  progress({ step: "digest", text: "computing the digest of the tree" });
  const digests = formats.map((format) => [format.name, toHex(computeComposefsDigest(source.tree, format))]);
  if (dumpfile !== undefined) {
    const [first = DEFAULT_COMPOSEFS_FORMAT] = formats;
    await storeFile(dumpfile, Readable.from(dumpTree(source.tree, first.algorithm)), { overwrite: true });
  }
  return {
    source: source.name,
    ...(source.image === undefined ? {} : { manifestDigest: source.image.manifestDigest }),
    ...transformed,
    digests: Object.fromEntries(digests),
    ...(dumpfile === undefined ? {} : { dumpfile }),
  };
}

const ALL = "all";

function parseFormats(list: string | undefined): readonly ComposefsFormat[] {
  if (list === undefined) return [DEFAULT_COMPOSEFS_FORMAT];
  if (list === ALL) return COMPOSEFS_FORMATS;
  return list.split(",").map((name) => parseComposefsFormat(name.trim()));
}

function algorithmsOf(formats: readonly ComposefsFormat[]): VerityAlgorithm[] {
  return [...new Set(formats.map((format) => format.algorithm))];
}

/** A dump has the digests of one algorithm: `all` then means the formats of that one. */
function hasDigestsFor(tree: Tree): (format: ComposefsFormat) => boolean {
  for (const node of nodesOf(tree.root)) {
    if (node.kind !== "file" || node.content.kind !== "external") continue;
    const { digests } = node.content;
    return ({ algorithm }) => digests[algorithm] !== undefined;
  }
  return () => true;
}
