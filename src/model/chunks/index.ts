/**
 * Layers that are cut by content, so that the next build shares most of them.
 *
 *     tree --> components --> packed into layers --> tars
 *              packages,       by size and by how
 *              names, places   often each changes
 *
 * `components.ts` says what belongs together, `history.ts` how often it changes, `pack.ts` what shares a layer, `layout.ts`
 * which entries that makes, `layer-tar.ts` what their bytes are. Nothing is written here.
 */
export { type Build, layersOfComponents, readBuild } from "./build.ts";
export { type Component, type Components, contentSize, findComponents, type PlacedEntry } from "./components.ts";
export { estimateChanges, type Signatures, signComponents } from "./history.ts";
export { encodeLayerTar, type LayerTar, measureLayerTar } from "./layer-tar.ts";
export { type ExpectedBytes, type Layout, type LayoutOptions, type PlannedLayer, planLayout } from "./layout.ts";
export { expectedBytes, type HeldLayer, type PackedLayer, packComponents, type Weighed } from "./pack.ts";
