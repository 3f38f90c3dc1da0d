/** Contents of either side, in parts, wherever they are. */
import { open } from "node:fs/promises";
import { readExactly } from "../../model/host-io/files.ts";
import { openPlainLayers, type PlainLayersOptions } from "../../model/layer/plain-layers.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import type { Content } from "../../model/tree/tree.ts";

/** Bytes `from` to `to` of a content. */
export type ReadPart = (content: Content, from: number, to: number) => Promise<Uint8Array>;

export const isReadable = (content: Content): boolean =>
  content.kind === "inline" || (content.kind === "external" && content.origin !== undefined);

/**
 * Makes contents readable: of an image, the layers that they lie in are unpacked; a directory is read where it is.
 *
 * @param contents all that will be asked for
 * @param stack closes what was opened
 */
export async function openContents(
  { image }: TreeSource,
  contents: Iterable<Content>,
  options: PlainLayersOptions,
  stack: AsyncDisposableStack,
): Promise<ReadPart> {
  if (image === undefined) return readFromPath;
  const only = new Set<number>();
  for (const content of contents) {
    if (content.kind === "external" && content.origin?.kind === "layer") only.add(content.origin.layer);
  }
  const borrowed = { ...image, [Symbol.asyncDispose]: () => Promise.resolve() };
  const plain = stack.use(await openPlainLayers(borrowed, { ...options, only }));
  return async (content, from, to) => {
    const bytes = new Uint8Array(to - from);
    let fill = 0;
    for await (const chunk of plain.contents.open().stream(content, from, to)) {
      bytes.set(chunk, fill);
      fill += chunk.length;
    }
    return bytes;
  };
}

const readFromPath: ReadPart = async (content, from, to) => {
  if (content.kind === "inline") return content.bytes.subarray(from, to);
  const origin = content.kind === "external" ? content.origin : undefined;
  if (origin?.kind !== "path") throw new TypeError("content of a directory without a path");
  await using file = await open(origin.path);
  return await readExactly(file, String(origin.path), from, to - from, "file");
};
