/** What makes two contents the same, and which digests two sources have in common. */
import { computeFsverityDigest, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import type { Content, Tree } from "../../model/tree/tree.ts";
import { nodesOf } from "../../model/tree/walk.ts";

/** The algorithm of a tree's digests; `undefined` when no file has one. */
export function algorithmOf(tree: Tree): VerityAlgorithm | undefined {
  for (const node of nodesOf(tree.root)) {
    if (node.kind !== "file" || node.content.kind !== "external") continue;
    const [algorithm] = Object.keys(node.content.digests);
    if (algorithm !== undefined) return algorithm as VerityAlgorithm;
  }
  return undefined;
}

export const sizeOf = (content: Content): number =>
  content.kind === "inline" ? content.bytes.length : Number(content.size);

/** Compares by digest: no content is read. */
export function isSameContent(a: Content, b: Content, algorithm: VerityAlgorithm): boolean {
  if (sizeOf(a) !== sizeOf(b)) return false;
  if (a.kind === "inline" && b.kind === "inline") return equalBytes(a.bytes, b.bytes);
  if (a.kind === "external" && b.kind === "external") {
    return equalBytes(requireDigest(a, algorithm), requireDigest(b, algorithm));
  }
  return objectOf(a, algorithm) === objectOf(b, algorithm);
}

/** What an object store calls the content, in hex; what has no content there has a word instead. */
export function objectOf(content: Content, algorithm: VerityAlgorithm): string {
  switch (content.kind) {
    case "inline":
      return toHex(computeFsverityDigest(content.bytes, algorithm));
    case "external":
      return toHex(requireDigest(content, algorithm));
    case "unverified":
      return content.path.replaceAll("/", "");
    case "sparse":
      return "sparse";
    default:
      return content satisfies never;
  }
}

/** @throws {TypeError} when the sources were opened with another algorithm */
export function requireDigest(
  { digests }: Extract<Content, { kind: "external" }>,
  algorithm: VerityAlgorithm,
): Uint8Array {
  const digest = digests[algorithm];
  if (digest === undefined) throw new TypeError(`content without a ${algorithm} digest`);
  return digest;
}
