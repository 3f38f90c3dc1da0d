export { type Ext4Options, type Ext4Plan, planExt4 } from "./plan.ts";
export type { Ext4Directory, Ext4File, Ext4Leaf, Ext4Metadata, Ext4Node, Ext4Verity } from "./tree.ts";
