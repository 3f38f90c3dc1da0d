import { findPackageOwners, type OwnersProblem } from "../packages/index.ts";
import type { ImageTree } from "../source/tree-source.ts";
import type { TreeHistory } from "../tree/history.ts";
import { type Components, findComponents, type PlacedEntry } from "./components.ts";
import { type Signatures, signComponents } from "./history.ts";

/** An image as its components. */
export interface Build {
  readonly found: Components;
  readonly signatures: Signatures;
  /** Package databases that could not be read: their files are grouped by where they are. */
  readonly problems: readonly OwnersProblem[];
}

/** Looks before any transform: the extended attributes that name components are no part of the digest. */
export async function readBuild(source: Pick<ImageTree, "read" | "tree">): Promise<Build> {
  const { tree } = source;
  const { owners, problems } = await findPackageOwners(tree, (contents) => source.read(contents));
  const found = findComponents(tree, owners);
  return { found, signatures: signComponents(found.components), problems };
}

/** The layer that holds most entries of each component, by its name. */
export function layersOfComponents({ found }: Build, history: TreeHistory): ReadonlyMap<string, number> {
  return new Map(
    found.components.flatMap(({ entries, name }) => {
      const layer = mostOf(entries, history);
      return layer === undefined ? [] : [[name, layer] as const];
    }),
  );
}

function mostOf(entries: readonly PlacedEntry[], history: TreeHistory): number | undefined {
  const counts = new Map<number, number>();
  for (const { node } of entries) {
    const layer = history.layerOf(node);
    if (layer !== undefined) counts.set(layer, (counts.get(layer) ?? 0) + 1);
  }
  return [...counts].sort(([a, most], [b, more]) => more - most || a - b)[0]?.[0];
}
