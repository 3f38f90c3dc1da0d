import { PREDICATE_TYPE, type Provenance, provenancePredicate } from "../../formats/in-toto/index.ts";
import type { SealReport } from "../seal/report.ts";
import type { SealOptions } from "../seal/seal-image.ts";

/** Where the parameters below are described. */
const BUILD_TYPE = "pkg:npm/sealwright#docs/format/attachments.md";
const BUILDER = "pkg:npm/sealwright";

/** What a seal was made from and with: SLSA provenance v1. */
export function sealProvenance(report: SealReport, options: SealOptions, toolVersion: string): Provenance {
  const { bootLoader, digests, kernel, layer, signer, source, sourceManifest, uki } = report;
  return {
    buildType: BUILD_TYPE,
    parameters: { source, ...chosen(options) },
    dependencies: [{ name: "base", uri: source, digest: digestSet(sourceManifest) }],
    builder: BUILDER,
    builderVersion: { sealwright: toolVersion },
    byproducts: [
      { name: "composefs", annotations: { ...digests } },
      {
        name: uki.path,
        annotations: { authenticode: uki.authenticodeDigest, commandLine: uki.commandLine, kernel: kernel.version },
      },
      { name: bootLoader.path, annotations: { authenticode: bootLoader.authenticodeDigest } },
      { name: "layer", digest: digestSet(layer.digest) },
      { name: "signer", annotations: { subject: signer.subject, fingerprint: signer.fingerprint } },
    ],
    startedOn: options.buildTime,
  };
}

export const provenanceStatement = (provenance: Provenance) => ({
  predicateType: PREDICATE_TYPE.provenance,
  predicate: provenancePredicate(provenance),
});

/** `{ sha256: "…" }`. */
export function digestSet(digest: string): Readonly<Record<string, string>> {
  const colon = digest.indexOf(":");
  return { [digest.slice(0, colon)]: digest.slice(colon + 1) };
}

/** What the user chose, by the names of the flags; nothing that only this machine knows. */
function chosen(options: SealOptions): Readonly<Record<string, unknown>> {
  const { kernelArguments = [] } = options;
  const entries = {
    platform: options.platform,
    karg: kernelArguments.length === 0 ? undefined : kernelArguments,
    "digest-formats": options.digestFormats,
    "keep-kernel": options.keepKernel === true || undefined,
    normalize: options.normalize === true || undefined,
    "normalize-all": options.normalizeAll === true || undefined,
    "no-dump": options.noDump === true || undefined,
    "allow-missing-verity": options.allowMissingVerity === true || undefined,
    stub: options.stubPath === undefined ? undefined : true,
  };
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}
