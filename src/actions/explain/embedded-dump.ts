import { showByteString } from "../../lib/bytes/byte-string.ts";
import { treeFromDump } from "../../model/composefs/index.ts";
import { findKernel } from "../../model/os/index.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import { type Content, lookup, sortedEntries, type Tree } from "../../model/tree/tree.ts";

export interface EmbeddedDump {
  /** Absolute, for people. */
  readonly path: string;
  readonly tree: Tree;
}

/**
 * Reads the dump that was sealed into an image, /boot/VERSION.dump of the kernel's version; where there is none of
 * that name, the first `*.dump` in /boot. To be called before the tree is transformed.
 *
 * @throws {FormatError} `dumpfile.*`
 * @see bootc specification, section 1.9
 */
export async function readEmbeddedDump(source: TreeSource): Promise<EmbeddedDump | undefined> {
  if (source.kind === "dump" || source.kind === "erofs") return undefined;
  const version = findKernel(source.tree).kernel?.version;
  const dumps = listDumps(source.tree);
  const chosen = dumps.find(({ path }) => path === `/boot/${version}.dump`) ?? dumps[0];
  if (chosen === undefined) return undefined;
  const [bytes] = await source.read([chosen.content]);
  return { path: chosen.path, tree: treeFromDump(bytes as Uint8Array) };
}

function listDumps(tree: Tree): { readonly path: string; readonly content: Content }[] {
  const boot = lookup(tree, "/boot");
  if (boot?.kind !== "directory") return [];
  return sortedEntries(boot).flatMap(([name, node]) =>
    name.endsWith(".dump") && node.kind === "file"
      ? [{ path: `/boot/${showByteString(name)}`, content: node.content }]
      : [],
  );
}
