import { parseReference } from "../../formats/oci/index.ts";
import { makeSbom, type Sbom } from "../../model/sbom/index.ts";
import { openTreeSource, type SourceOptions } from "../../model/source/tree-source.ts";

export interface SbomOptions extends Omit<SourceOptions, "algorithms"> {
  /** Of Sealwright. */
  readonly toolVersion: string;
  readonly buildTime?: Date | undefined;
}

/**
 * Lists the packages of an image or a tree.
 *
 * @throws as `makeSbom`, and whatever opening the image throws
 */
export async function sbomOf(reference: string, { buildTime, toolVersion, ...reading }: SbomOptions): Promise<Sbom> {
  await using source = await openTreeSource(reference, { ...reading, algorithms: ["sha256"] });
  const named = parseReference(reference);
  const name = named.transport === "docker" ? `${named.registry}/${named.repository}` : reference;
  const manifestDigest = source.image?.manifestDigest;
  return await makeSbom(source, { name, manifestDigest, toolVersion, buildTime });
}
