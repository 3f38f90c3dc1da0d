import { open } from "node:fs/promises";
import { computeFsverityDigest, VERITY_ALGORITHMS, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, NotFoundError, VerificationError } from "../../lib/errors.ts";
import { decompress } from "../../lib/streams/decompress.ts";
import { readExactly } from "../../lib/streams/pull.ts";
import type { Layer } from "../image/image.ts";
import type { Content } from "../tree/tree.ts";

type ExternalContent = Extract<Content, { kind: "external" }>;

/** Bytes to be found, and where to put them. */
interface Wanted {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * Reads contents back from where they were found: one pass for each layer involved, ended as soon as everything is
 * there; an uncompressed layer in a local file is read at the right places only.
 *
 * What is returned has the fs-verity digest that its content names; the layers' own digests are not checked again.
 *
 * @param contents in any order, also the same one twice
 * @returns their bytes, in the same order
 * @throws {FormatError} `content.too-large` before anything of that size is set aside; the refusals of `decompress`
 * @throws {NotFoundError} `content.not-here` for content without bytes or origin
 * @throws {VerificationError} `content.digest-mismatch`
 */
export async function readContents(
  image: { readonly layers: readonly Layer[] },
  contents: readonly Content[],
  { maxSize }: { readonly maxSize: number },
): Promise<Uint8Array[]> {
  const inLayers = new Map<number, Wanted[]>();
  const results: Uint8Array[] = [];
  for (const content of contents) {
    const size = content.kind === "inline" ? content.bytes.length : Number(content.size);
    if (size > maxSize) {
      throw new FormatError("content.too-large", {
        what: "content",
        expected: `at most ${maxSize} bytes`,
        found: `${size} bytes`,
      });
    }
    if (content.kind === "inline") {
      results.push(content.bytes);
      continue;
    }
    const origin = content.kind === "external" ? content.origin : undefined;
    if (origin === undefined)
      throw new NotFoundError("content.not-here", `the bytes of this ${content.kind} content are not in the image`);
    const bytes = new Uint8Array(size);
    results.push(bytes);
    if (origin.kind === "path") await readPath(origin.path, bytes);
    else {
      const wanted = inLayers.get(origin.layer) ?? [];
      wanted.push({ offset: origin.offset, bytes });
      inLayers.set(origin.layer, wanted);
    }
  }
  for (const [index, wanted] of inLayers) {
    const layer = image.layers.find((each) => each.index === index);
    if (layer === undefined) throw new NotFoundError("content.not-here", `the image has no layer ${index}`);
    await readFromLayer(layer, wanted);
  }
  contents.forEach((content, index) => {
    if (content.kind === "external") verifyContent(content, results[index] as Uint8Array);
  });
  return results;
}

async function readPath(path: string | Uint8Array, bytes: Uint8Array): Promise<void> {
  const name = typeof path === "string" ? path : Buffer.from(path);
  await using file = await open(name);
  await readExactly(file, bytes, 0, String(name));
}

async function readFromLayer(layer: Layer, wanted: Wanted[]): Promise<void> {
  if (layer.compression === "none" && layer.file !== undefined) {
    const { path, offset } = layer.file;
    await using file = await open(path);
    for (const { offset: within, bytes } of wanted) await readExactly(file, bytes, offset + within, path);
    return;
  }
  const inOrder = wanted.sort((a, b) => a.offset - b.offset);
  const end = Math.max(...inOrder.map(({ offset, bytes }) => offset + bytes.length));
  let position = 0;
  let first = 0;
  for await (const chunk of decompress(layer.open(), layer.compression)) {
    for (let index = first; index < inOrder.length; index++) {
      const { offset, bytes } = inOrder[index] as Wanted;
      if (offset >= position + chunk.length) break;
      const from = Math.max(offset, position);
      const to = Math.min(offset + bytes.length, position + chunk.length);
      if (from < to) bytes.set(chunk.subarray(from - position, to - position), from - offset);
      else if (index === first) first++;
    }
    position += chunk.length;
    if (position >= end) return;
  }
  throw new FormatError("content.truncated", {
    what: `layer ${layer.index}`,
    offset: position,
    expected: `bytes up to ${end}`,
    found: "the end",
  });
}

function verifyContent({ digests }: ExternalContent, bytes: Uint8Array): void {
  const known = (Object.keys(VERITY_ALGORITHMS) as VerityAlgorithm[]).filter(
    (algorithm) => digests[algorithm] !== undefined,
  );
  if (known.length === 0)
    throw new VerificationError("content.digest-missing", "content without a digest cannot be verified");
  for (const algorithm of known) {
    const found = computeFsverityDigest(bytes, algorithm);
    const expected = digests[algorithm] as Uint8Array;
    if (equalBytes(found, expected)) continue;
    throw new VerificationError(
      "content.digest-mismatch",
      `content: found ${algorithm} fs-verity digest ${toHex(found)}, expected ${toHex(expected)}`,
    );
  }
}
