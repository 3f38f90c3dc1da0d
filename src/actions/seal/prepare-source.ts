/** The image as it is sealed: read, and where it is to be normalised without layers that leave out parents. */
import type { Image } from "../../model/image/image.ts";
import { type ImageTree, readImage, type SourceOptions } from "../../model/source/tree-source.ts";
import { TreeHistory } from "../../model/tree/history.ts";
import { type Content, lookup } from "../../model/tree/tree.ts";
import { declareParents, type MendedLayer, type MissingParent } from "./declare-parents.ts";
import type { Redeclared } from "./normalize.ts";

export interface PreparedSource extends AsyncDisposable {
  readonly source: ImageTree;
  /** What the layers say of directories, where the tree is to be normalised. */
  readonly history?: TreeHistory;
  readonly mended: readonly MendedLayer[];
}

/** Reads the image; where the tree is to be normalised, layers that leave out parents are written anew first. */
export async function prepareSource(image: Image, reading: SourceOptions, normalize: boolean): Promise<PreparedSource> {
  const dispose = () => image[Symbol.asyncDispose]();
  if (!normalize) {
    return { source: await readImage(image, reading), mended: [], [Symbol.asyncDispose]: dispose };
  }
  const missing: MissingParent[] = [];
  const history = new TreeHistory();
  const source = await readImage(image, {
    ...reading,
    apply: { history, missingParents: "invent", onInvented: (path, layer) => missing.push({ path, layer }) },
  });
  if (missing.length === 0) return { source, history, mended: [], [Symbol.asyncDispose]: dispose };
  const usr = lookup(source.tree, "usr");
  const { layers, mended } = await declareParents(image, source.layers, missing, usr?.meta.mtimeSec ?? 0n).catch(
    async (error: unknown) => {
      await dispose();
      throw error;
    },
  );
  const again = new TreeHistory();
  const mendedImage: Image = { ...image, layers, [Symbol.asyncDispose]: dispose };
  return {
    source: await readImage(mendedImage, { ...reading, apply: { history: again } }),
    history: again,
    mended,
    [Symbol.asyncDispose]: dispose,
  };
}

/** The bytes of files that are shipped again. */
export async function readRedeclared(source: ImageTree, normalized: readonly Redeclared[]) {
  const files = normalized.flatMap(({ linkTo, node }) =>
    node.kind === "file" && linkTo === undefined && node.content.kind === "external" ? [node.content] : [],
  );
  const bytes = await source.read(files);
  const contents = new Map<Content, Uint8Array>(files.map((content, index) => [content, bytes[index] as Uint8Array]));
  return { normalized, contents };
}
