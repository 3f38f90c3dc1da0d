import type { Directory, Metadata, TreeNode } from "./tree.ts";

/** What the layers of an image said of one directory. */
export interface DirectoryHistory {
  /** Its own entries, lowest layer first; none where only paths of other entries name the directory. */
  readonly declared: readonly { readonly layer: number; readonly meta: Metadata }[];
  /** Layers, lowest first, that have entries below the directory and none for it. */
  readonly undeclared: readonly number[];
}

const NO_HISTORY: DirectoryHistory = { declared: [], undeclared: [] };

/** Which layers brought what is in a tree; `applyLayer` fills it. Nodes that a transform makes are unknown to it. */
export class TreeHistory {
  readonly #layers = new Map<TreeNode, number>();
  readonly #directories = new Map<Directory, { declared: { layer: number; meta: Metadata }[]; undeclared: number[] }>();

  /**
   * The layer that last said what a node is: brought the leaf, or set the metadata of the directory. A name that is
   * only a hard link to an older leaf answers for the leaf.
   */
  layerOf(node: TreeNode): number | undefined {
    return this.#layers.get(node);
  }

  directory(node: Directory): DirectoryHistory {
    return this.#directories.get(node) ?? NO_HISTORY;
  }

  /** An entry of the layer is about this node. */
  declare(node: TreeNode, layer: number): void {
    this.#layers.set(node, layer);
    if (node.kind !== "directory") return;
    const { declared, undeclared } = this.#open(node);
    if (declared.at(-1)?.layer === layer) declared.pop();
    // A layer may name a directory after what is in it; whoever unpacks the layer sets its metadata at the end.
    if (undeclared.at(-1) === layer) undeclared.pop();
    declared.push({ layer, meta: node.meta });
  }

  /** An entry of the layer is below this directory. */
  pass(directory: Directory, layer: number): void {
    const { declared, undeclared } = this.#open(directory);
    if (declared.at(-1)?.layer !== layer && undeclared.at(-1) !== layer) undeclared.push(layer);
  }

  #open(directory: Directory) {
    const known = this.#directories.get(directory);
    if (known !== undefined) return known;
    const history = { declared: [], undeclared: [] };
    this.#directories.set(directory, history);
    return history;
  }
}
