import { computeFsverityDigest } from "../../formats/fsverity/index.ts";
import {
  type Descriptor,
  isConfigMediaType,
  isManifestMediaType,
  MAX_CONFIG_SIZE,
  parseManifest,
} from "../../formats/oci/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { loadBlob } from "../image/blob.ts";
import { type ImageSource, loadManifest } from "../image/source.ts";
import type { ComposefsFacts } from "./composefs-remark.ts";

/** What is known of an image without reading a layer: the digests of its manifest and config. */
export async function documentFacts(source: ImageSource, descriptor: Descriptor): Promise<ComposefsFacts> {
  if (!isManifestMediaType(descriptor.mediaType)) return () => undefined;
  const what = `${source.name}: image config`;
  const manifest = await loadManifest(source, descriptor);
  const { config: named } = parseManifest(manifest, `${source.name}: manifest`);
  const config = isConfigMediaType(named.mediaType)
    ? await loadBlob(await source.blob(named, what), what, MAX_CONFIG_SIZE, "oci.config.malformed")
    : undefined;
  const documents: Readonly<Record<string, Uint8Array | undefined>> = { manifest, config };
  return (role, algorithm) => {
    const bytes = documents[role];
    return bytes && toHex(computeFsverityDigest(bytes, algorithm));
  };
}
