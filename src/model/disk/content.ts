import type { LayerObject } from "../repository/index.ts";

/** Bytes on a disk: held, in a layer, or a Merkle tree that comes to be while the layer is read. */
export type DiskContent = Uint8Array | LayerObject | MerkleTreeOf;

export interface MerkleTreeOf {
  readonly treeOf: LayerObject;
}
