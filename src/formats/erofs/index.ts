export type { ErofsContent, ErofsInode } from "./inode.ts";
export { MODE_TYPE, MODE_TYPE_MASK } from "./layout.ts";
export { type ErofsPlan, planErofs } from "./plan.ts";
export { type ComposefsVersion, type LayoutRules, layoutRules } from "./rules.ts";
export { emitErofs, encodeErofs } from "./write.ts";
export { compareByFullName, type Xattr, XattrPool } from "./xattr.ts";
