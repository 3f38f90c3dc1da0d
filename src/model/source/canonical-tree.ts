import { toBootTree, toOciTree } from "../tree/transform.ts";
import type { TreeSource } from "./tree-source.ts";

export interface Canonical {
  /** What was done to the tree: `none` for a dumpfile and a composefs image, which are taken as they are. */
  readonly transform: "boot" | "oci" | "none";
  /** Name of the SELinux policy that labelled the tree. */
  readonly selinuxPolicy?: string;
}

/**
 * Makes the tree of a source the one whose digest counts. Changes `source.tree`.
 *
 * @param plain leaves out the boot transform
 * @throws as `toOciTree` and `toBootTree`
 */
export async function toCanonicalTree(source: TreeSource, plain: boolean): Promise<Canonical> {
  if (source.kind === "dump" || source.kind === "erofs") return { transform: "none" };
  toOciTree(source.tree);
  if (plain) return { transform: "oci" };
  const { policy } = await toBootTree(source.tree, async (content) => {
    const [bytes] = await source.read([content]);
    return bytes as Uint8Array;
  });
  return { transform: "boot", ...(policy === undefined ? {} : { selinuxPolicy: policy }) };
}
