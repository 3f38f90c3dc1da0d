/** Which way from an image to a digest gives the digest that somebody else has. */
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, PolicyError, quote, UsageError } from "../../lib/errors.ts";
import { silent } from "../../lib/progress.ts";
import { COMPOSEFS_FORMATS, type ComposefsFormat, computeComposefsDigest } from "../../model/composefs/index.ts";
import { throwIfInterrupted } from "../../model/host-io/interrupt.ts";
import { treeFromLayers } from "../../model/tree/apply.ts";
import { TreeHistory } from "../../model/tree/history.ts";
import { LabelCache } from "../../model/tree/label.ts";
import type { Content } from "../../model/tree/tree.ts";
import { nodesOf } from "../../model/tree/walk.ts";
import { readEmbeddedDump } from "./embedded-dump.ts";
import { countUndeclared, isFinished, type OpenSide, openSide, type SideOptions } from "./side.ts";
import { type SearchContext, type Stage, type Switch, type SwitchOption, switchesFor } from "./switches.ts";

export interface Variant {
  /** Format and, where they are not the usual ones, options: `v1-sha512 xattrs=keep-user`. */
  readonly name: string;
  readonly format: string;
  readonly options: readonly ChosenOption[];
  /** Who computes this digest. */
  readonly tools: readonly string[];
}

export interface ChosenOption {
  readonly switch: string;
  readonly option: string;
  readonly meaning: string;
}

export interface AgainstReport {
  readonly reference: string;
  readonly kind: OpenSide["kind"];
  readonly manifestDigest?: string;
  /** Algorithm and lower-case hex of the digest that was searched for. */
  readonly against: string;
  readonly found?: Variant;
  /** The dump inside the image has the digest, in this format. */
  readonly embeddedDump?: { readonly path: string; readonly format: string };
  /** Digests that were computed. */
  readonly tried: number;
  /** Deviations from the usual way that were tried together. */
  readonly depth: number;
  /** Everything up to that depth was tried; large trees are given up earlier. */
  readonly complete: boolean;
  /** What was tried; options that make no difference here are left out. */
  readonly switches: readonly { readonly name: string; readonly title: string; readonly options: readonly string[] }[];
  /** What to do next when nothing was found. */
  readonly advice: readonly string[];
}

/** Deviations from the usual way at most; more than that is no tool but chance. */
const MAX_DEPTH = 4;

/**
 * Nodes that are encoded in all: bounds the time of a search. Measured: 250 000 a second
 * for a tree of 10 000, on one core.
 * Small trees are searched to the end.
 */
const MAX_WORK = 1_300_000;
const MIN_TRIALS = 24;
const MAX_TRIALS = 4000;

/**
 * Searches the known ways from an image to a digest, the likely ones first: ever more deviations from what bootc does.
 *
 * @param digest hex, or with the algorithm before a colon as on a kernel command line
 * @throws {UsageError} `explain.against.malformed`, `explain.against.finished`
 * @throws as reading the source
 */
export async function findVariant(
  reference: string,
  digest: string,
  options: SideOptions = {},
): Promise<AgainstReport> {
  const { algorithm, hex } = parseDigest(digest);
  if (isFinished(reference)) throw finished(reference);
  await using source = await openSide(reference, algorithm, options);
  const embeddedDump = await findInDump(source, algorithm, hex);
  const search = new Search(source, algorithm, hex, options);
  const found = await search.run();
  return {
    reference,
    kind: source.kind,
    ...(source.image === undefined ? {} : { manifestDigest: source.image.manifestDigest }),
    against: `${algorithm}:${hex}`,
    ...(found === undefined ? {} : { found }),
    ...(embeddedDump === undefined ? {} : { embeddedDump }),
    tried: search.tried,
    depth: search.depth,
    complete: search.complete,
    switches: search.switches(),
    advice: found === undefined ? adviceFor(source, embeddedDump !== undefined) : [],
  };
}

const DIGEST = /^(?:(?:v[012]-)?(sha256|sha512)(?:-12)?:)?([0-9a-f]{64}|[0-9a-f]{128})$/;

function parseDigest(text: string): { algorithm: VerityAlgorithm; hex: string } {
  const [, named, hex] = DIGEST.exec(text.toLowerCase()) ?? [];
  const algorithm = hex?.length === 64 ? "sha256" : "sha512";
  if (hex !== undefined && (named === undefined || named === algorithm)) return { algorithm, hex };
  throw new UsageError(
    "explain.against.malformed",
    `--against: found ${quote(text)}, expected 64 or 128 hexadecimal digits, with or without sha256: or sha512: before them`,
  );
}

function finished(reference: string): UsageError {
  return new UsageError("explain.against.finished", `${reference}: a finished tree has no variants`, {
    hint: "search with the image, or compare two with sealwright explain A B",
  });
}

class Search {
  readonly #context: SearchContext;
  readonly #switches: readonly Switch[];
  readonly #formats: readonly ComposefsFormat[];
  readonly #start: Stage;
  readonly #hex: string;
  readonly #options: SideOptions;
  readonly #maxTrials: number;
  readonly #met = new Map<Switch, Set<SwitchOption>>();
  tried = 0;
  depth = 0;
  complete = true;

  constructor(source: OpenSide, algorithm: VerityAlgorithm, hex: string, options: SideOptions) {
    this.#context = contextOf(source, options.plain ?? false);
    this.#switches = switchesFor(this.#context);
    // V0 comes last: mkcomposefs writes it, which knows SHA-256 alone.
    this.#formats = [1, 2, 0].flatMap((version) =>
      COMPOSEFS_FORMATS.filter((format) => format.version === version && format.algorithm === algorithm),
    );
    this.#start = {
      tree: source.tree,
      booted: false,
      ...(source.history === undefined ? {} : { history: source.history }),
    };
    this.#hex = hex;
    this.#options = options;
    let nodes = 0;
    for (const _ of nodesOf(source.tree.root)) nodes++;
    this.#maxTrials = Math.max(MIN_TRIALS, Math.min(MAX_TRIALS, Math.floor(MAX_WORK / nodes)));
  }

  async run(): Promise<Variant | undefined> {
    for (; ; this.depth++) {
      const before = this.tried;
      const found = await this.#visit(0, this.#start, this.depth, []);
      if (found !== undefined) return found;
      this.complete = this.tried < this.#maxTrials;
      if (!this.complete || this.tried === before || this.depth === MAX_DEPTH) return undefined;
    }
  }

  switches(): AgainstReport["switches"] {
    return [
      { name: "format", title: "format of the digest", options: this.#formats.map(({ name }) => name) },
      ...this.#switches.flatMap((one) => {
        const options = one.options.filter((option) => this.#met.get(one)?.has(option)).map(({ name }) => name);
        return options.length < 2 ? [] : [{ name: one.name, title: one.title, options }];
      }),
    ];
  }

  /** All choices from this switch on that deviate exactly `deviations` times. */
  async #visit(
    index: number,
    stage: Stage,
    deviations: number,
    chosen: readonly [Switch, SwitchOption][],
  ): Promise<Variant | undefined> {
    const current = this.#switches[index];
    if (current === undefined) return deviations === 0 ? this.#tryFormats(stage, chosen) : undefined;
    if (deviations > this.#switches.length - index) return undefined;
    let cost = 0;
    for (const option of current.options) {
      if (cost > deviations || this.tried >= this.#maxTrials) break;
      const next = await this.#apply(option, stage);
      if (next === undefined) continue;
      this.#remember(current, option);
      const more: readonly [Switch, SwitchOption][] = cost === 0 ? chosen : [...chosen, [current, option]];
      const found = await this.#visit(index + 1, next, deviations - cost, more);
      if (found !== undefined) return found;
      cost = 1;
    }
    return undefined;
  }

  /** What a transform refuses is not a way to a digest. */
  async #apply(option: SwitchOption, stage: Stage): Promise<Stage | undefined> {
    try {
      return await option.apply(stage, this.#context);
    } catch (error) {
      if (error instanceof FormatError) return undefined;
      throw error;
    }
  }

  #remember(one: Switch, option: SwitchOption): void {
    this.#met.set(one, (this.#met.get(one) ?? new Set()).add(option));
  }

  #tryFormats(stage: Stage, chosen: readonly [Switch, SwitchOption][]): Variant | undefined {
    const { progress = silent, signal } = this.#options;
    const text = "trying what tools do differently";
    const onlyNanoseconds = chosen.some(([, { nanosecondsOnly }]) => nanosecondsOnly);
    for (const format of this.#formats) {
      if (format.version === 2 && onlyNanoseconds) continue;
      if (format.version === 0 && chosen.length > 1 && format.algorithm === "sha512") continue;
      throwIfInterrupted(signal);
      progress({ step: "explain.search", text, done: this.tried++, total: this.#maxTrials });
      if (digestOf(stage, format) === this.#hex) return toVariant(format, chosen);
    }
    return undefined;
  }
}

function digestOf({ tree }: Stage, format: ComposefsFormat): string | undefined {
  try {
    return toHex(computeComposefsDigest(tree, format));
  } catch (error) {
    if (error instanceof FormatError || error instanceof PolicyError) return undefined;
    throw error;
  }
}

function contextOf(source: OpenSide, plain: boolean): SearchContext {
  const merged = new Map<number, { tree: OpenSide["tree"]; history: TreeHistory }>();
  const contents = new Map<Content, Promise<Uint8Array>>();
  const readOne = async (content: Content): Promise<Uint8Array> => {
    const [bytes] = await source.read([content]);
    return bytes as Uint8Array;
  };
  return {
    plain,
    labels: new LabelCache(),
    layerCount: source.layers?.length ?? 0,
    mergeLayers(count) {
      const known = merged.get(count);
      if (known !== undefined) return known;
      const history = new TreeHistory();
      const records = source.layers?.slice(0, count) ?? [];
      const made = { tree: treeFromLayers(records, { history, missingParents: "invent" }), history };
      merged.set(count, made);
      return made;
    },
    read(content) {
      const reading = contents.get(content) ?? readOne(content);
      contents.set(content, reading);
      return reading;
    },
  };
}

/** Who computes a format of the boot-transformed tree; deviations name their own tools. */
const TOOLS: Readonly<Record<string, string>> = {
  "v0-sha256": "mkcomposefs (C), which starts at V0",
  "v0-sha512": "composefs-rs told to write V0",
  "v1-sha256": "mkcomposefs --min-version=1, and composefs-rs with SHA-256",
  "v1-sha512": "bootc 1.16.4 and later (July 2026), composefs-rs since June 2026, Sealwright",
  "v2-sha256": "composefs-rs with SHA-256 until June 2026",
  "v2-sha512": "bootc 1.16.3 and older, and hosts that one of them installed; composefs-rs until June 2026",
};

function toVariant(format: ComposefsFormat, chosen: readonly [Switch, SwitchOption][]): Variant {
  const tools = [TOOLS[format.name], ...chosen.map(([, { tools }]) => tools)];
  return {
    name: nameOf(format, chosen),
    format: format.name,
    options: chosen.map(([{ name }, option]) => ({ switch: name, option: option.name, meaning: option.meaning })),
    tools: tools.filter((one) => one !== undefined),
  };
}

function nameOf(format: ComposefsFormat, chosen: readonly [Switch, SwitchOption][]): string {
  return [format.name, ...chosen.map(([{ name }, option]) => `${name}=${option.name}`)].join(" ");
}

async function findInDump(
  source: OpenSide,
  algorithm: VerityAlgorithm,
  hex: string,
): Promise<AgainstReport["embeddedDump"]> {
  const dump = await readEmbeddedDump(source);
  if (dump === undefined) return undefined;
  const format = COMPOSEFS_FORMATS.find(
    (one) => one.algorithm === algorithm && digestOf({ tree: dump.tree, booted: true }, one) === hex,
  );
  return format === undefined ? undefined : { path: dump.path, format: format.name };
}

function adviceFor(source: OpenSide, isInDump: boolean): string[] {
  const { history, name, tree } = source;
  const undeclared = history === undefined ? 0 : countUndeclared(tree.root, history);
  return [
    ...(isInDump ? [`the dump inside the image has this digest: sealwright explain ${name} shows how it differs`] : []),
    ...(undeclared === 0
      ? []
      : [
          `no layer declares ${undeclared} of the directories, so every tool gives them metadata of its own: normalize the image (sealwright seal --normalize)`,
        ]),
    "times of directories that an engine made or touched, and files that a running container has, cannot be guessed: get the tree that was digested as a dump (bootc container compute-composefs-digest --write-dumpfile-to FILE, or sealwright digest --dumpfile FILE)",
    `then compare: sealwright explain ${name} dump:FILE`,
    "make sure that it is the same image: compare the manifest digests, not the tags",
  ];
}
