/** Why two digests differ, and which way from an image leads to a digest. */
export { type ExplainOptions, type ExplainReport, explainDifference } from "./explain-difference.ts";
export { type AgainstReport, findVariant, type Variant } from "./find-variant.ts";
export type { Cause, Example, LayerName } from "./findings.ts";
export type { SideOptions, SideReport } from "./side.ts";
