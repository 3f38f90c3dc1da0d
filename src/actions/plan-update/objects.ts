import { type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type ByteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { type Content, type Directory, type Leaf, sortedEntries, type Tree } from "../../model/tree/tree.ts";

/** A content that a host stores as an object of its own, and the first file that has it. */
export interface StoredObject {
  readonly path: ByteString;
  readonly content: Content;
  readonly size: number;
}

export interface TreeFiles {
  /** By digest. What is small enough to be in the composefs image itself is no object. */
  readonly objects: ReadonlyMap<ByteString, StoredObject>;
  /** Every file that is an object, by path relative to the root. */
  readonly files: ReadonlyMap<ByteString, StoredObject>;
}

/** Looks before any transform: what is in /boot is fetched, too. */
export function listFiles(tree: Tree, algorithm: VerityAlgorithm): TreeFiles {
  const objects = new Map<ByteString, StoredObject>();
  const files = new Map<ByteString, StoredObject>();
  const open: { readonly path: string; readonly node: Directory | Leaf }[] = [{ path: "", node: tree.root }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node } = next;
    const path = next.path as ByteString;
    if (node.kind === "directory") {
      for (const [name, child] of sortedEntries(node).reverse()) {
        open.push({ path: path === "" ? name : `${path}/${name}`, node: child });
      }
      continue;
    }
    if (node.kind !== "file") continue;
    const name = objectName(node.content, algorithm);
    if (name === undefined) continue;
    const object = { path, content: node.content, size: sizeOf(node.content) };
    files.set(path, object);
    if (!objects.has(name)) objects.set(name, object);
  }
  return { objects, files };
}

const sizeOf = (content: Content): number => (content.kind === "inline" ? content.bytes.length : Number(content.size));

function objectName(content: Content, algorithm: VerityAlgorithm): ByteString | undefined {
  if (content.kind === "unverified") return content.path;
  const digest = content.kind === "external" ? content.digests[algorithm] : undefined;
  return digest && bytesToByteString(digest);
}

/** Objects that the second has and the first has not, in the order of their paths. */
export function missingObjects(held: TreeFiles, wanted: TreeFiles): StoredObject[] {
  return [...wanted.objects].flatMap(([name, object]) => (held.objects.has(name) ? [] : [object]));
}
