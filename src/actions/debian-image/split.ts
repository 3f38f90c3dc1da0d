/** Splits the tar of a root file system into the tars of layers, as it passes by. */
import {
  encodeTarEntry,
  TAR_END,
  type TarEntry,
  type TarItem,
  type TarSink,
  TarStream,
  tarPadding,
} from "../../formats/tar/index.ts";
import { type ByteString, byteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError } from "../../lib/errors.ts";
import { type LayerRule, layerOf } from "./layers.ts";

export interface SplitOptions {
  readonly layers: readonly LayerRule[];
  /** Seconds since 1970; later times become this one. */
  readonly newest: bigint;
}

/** Takes bytes of one layer's tar, in order; waits while the layer cannot take more. */
export type LayerWriter = (layer: number, bytes: Uint8Array) => Promise<void>;

/**
 * Reads the tar once and holds none of it but the directories and the names.
 *
 * Every layer declares every directory on the way to its entries, as the tree has it. The digest of the image is then
 * the same for tools that read layers and for engines that unpack them and would otherwise invent parents.
 *
 * Times lose their fractions, extended attributes other than file capabilities are left out, and what the running
 * system fills (`/dev`, `/proc`, `/run`, `/sys`, `/tmp`) stays empty.
 *
 * @throws {FormatError} with a code of `tar.*`, `debian-image.path.malformed`, `debian-image.parent.undeclared`
 */
export async function splitIntoLayers(
  tar: AsyncIterable<Uint8Array>,
  options: SplitOptions,
  write: LayerWriter,
): Promise<void> {
  const splitter = new LayerSplitter(options);
  const stream = new TarStream(splitter);
  for await (const chunk of tar) {
    stream.push(chunk);
    for (const [layer, bytes] of splitter.take()) await write(layer, bytes);
  }
  stream.end();
  splitter.end();
  for (const [layer, bytes] of splitter.take()) await write(layer, bytes);
}

const FILLED_AT_RUN_TIME = /^(?:dev|proc|run|sys|tmp)\//;
const CAPABILITY = byteString("security.capability");

class LayerSplitter implements TarSink {
  readonly #options: SplitOptions;
  readonly #directories = new Map<string, TarEntry>();
  /** Directories each layer has declared. */
  readonly #declared: readonly Set<string>[];
  /** The layer of everything that a hard link can lead to. */
  readonly #placed = new Map<string, number>();
  #output: [layer: number, bytes: Uint8Array][] = [];
  /** The layer of the file whose content is passing by, and how much of it is left. */
  #current: number | undefined;
  #left = 0;
  #size = 0;

  constructor(options: SplitOptions) {
    this.#options = options;
    this.#declared = options.layers.map(() => new Set<string>());
  }

  /** What was written since the last call; contents are views into the chunk that was pushed. */
  take(): readonly [layer: number, bytes: Uint8Array][] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  end(): void {
    this.#declared.forEach((_, layer) => this.#output.push([layer, TAR_END]));
  }

  entry({ entry }: TarItem): void {
    const path = normalPath(entry.path);
    this.#current = undefined;
    // The root itself has no name; its metadata is that of /usr in a bootable image.
    if (path === "" || FILLED_AT_RUN_TIME.test(path)) return;
    const clean = this.#clean(entry, path);
    const layer = this.#layerOf(clean, path);
    this.#declareParents(path, layer);
    if (clean.kind === "directory") {
      this.#directories.set(path, clean);
      this.#declared[layer]?.add(path);
    } else {
      this.#placed.set(path, layer);
    }
    this.#output.push([layer, encodeTarEntry(clean)]);
    if (clean.kind === "file" && clean.size > 0) {
      this.#current = layer;
      this.#size = this.#left = clean.size;
    }
  }

  content(bytes: Uint8Array): void {
    if (this.#current === undefined) return;
    this.#output.push([this.#current, bytes]);
    this.#left -= bytes.length;
    if (this.#left === 0) this.#output.push([this.#current, tarPadding(this.#size)]);
  }

  #clean(entry: TarEntry, path: string): TarEntry {
    const { newest } = this.#options;
    const capability = entry.xattrs.get(CAPABILITY);
    const common = {
      path: (entry.kind === "directory" ? `${path}/` : path) as ByteString,
      mtimeSec: entry.mtimeSec < newest ? entry.mtimeSec : newest,
      mtimeNsec: 0,
      xattrs: new Map(capability === undefined ? [] : [[CAPABILITY, capability]]),
    };
    if (entry.kind !== "hardlink") return { ...entry, ...common };
    return { ...entry, ...common, target: normalPath(entry.target) as ByteString };
  }

  /** A hard link follows its target: a layer must not link to what another one may replace. */
  #layerOf(entry: TarEntry, path: string): number {
    const target = entry.kind === "hardlink" ? this.#placed.get(entry.target) : undefined;
    return target ?? layerOf(this.#options.layers, path);
  }

  #declareParents(path: string, layer: number): void {
    const declared = this.#declared[layer];
    for (let cut = path.indexOf("/"); cut !== -1; cut = path.indexOf("/", cut + 1)) {
      const parent = path.slice(0, cut);
      const directory = this.#directories.get(parent);
      if (directory === undefined) {
        throw new FormatError("debian-image.parent.undeclared", {
          what: `root file system: ${showByteString(path as ByteString)}`,
          expected: `an entry for the directory ${showByteString(parent as ByteString)} before it`,
          found: "none",
        });
      }
      if (declared === undefined || declared.has(parent)) continue;
      declared.add(parent);
      this.#output.push([layer, encodeTarEntry(directory)]);
    }
  }
}

/** `./usr/bin/` -> `usr/bin`; the root is empty. */
function normalPath(path: ByteString): string {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..") || path.startsWith("/")) {
    throw new FormatError("debian-image.path.malformed", {
      what: "root file system: path",
      expected: "a path below the root",
      found: showByteString(path),
    });
  }
  return names.join("/");
}
