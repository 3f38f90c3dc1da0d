import { showByteString } from "../../lib/bytes/byte-string.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import type { Directory, TreeNode } from "../../model/tree/tree.ts";
import type { StoredFile } from "./placed-file.ts";

/** A file that can be spared: what is done to it, no boot notices. */
export interface Victim {
  /** In the tree, with leading slash. */
  readonly path: string;
  /** Its digest, lower-case hex. */
  readonly hex: string;
  readonly object: StoredFile;
}

/** Licences and documents: read by people, in no boot. */
const HARMLESS = /^usr\/share\/(?:common-licenses|doc|licenses|man|locale|zoneinfo)\//;

/** Finds the first file of the tree, by path, that nothing needs and whose content is an object of its own. */
export function findVictim(
  root: Directory,
  open: (hex: string, path: string) => StoredFile | undefined,
): Victim | undefined {
  const uses = new Map<string, string[]>();
  const visit = (node: TreeNode, path: string): void => {
    if (node.kind === "directory") {
      for (const [name, child] of node.entries)
        visit(child, path === "" ? showByteString(name) : `${path}/${showByteString(name)}`);
    } else if (node.kind === "file" && node.content.kind === "external" && node.content.digests.sha512 !== undefined) {
      const hex = toHex(node.content.digests.sha512);
      uses.set(hex, [...(uses.get(hex) ?? []), path]);
    }
  };
  visit(root, "");
  const candidates = [...uses]
    .filter(([, paths]) => paths.length === 1 && HARMLESS.test(paths[0] ?? ""))
    .map(([hex, [path = ""]]) => ({ hex, path }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { hex, path } of candidates) {
    const object = open(hex, path);
    if (object !== undefined) return { path: `/${path}`, hex, object };
  }
  return undefined;
}
