import { parseSignedData } from "../../formats/cms/index.ts";
import {
  type ArtifactDigest,
  COMPOSEFS_SIGNATURE_TYPE,
  formattedDigest,
  parseArtifactLayers,
} from "../../formats/composefs-artifact/index.ts";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import type { Descriptor, Manifest } from "../../formats/oci/index.ts";
import { isSignedWith } from "../../formats/x509/index.ts";
import { VerificationError } from "../../lib/errors.ts";
import type { FoundReferrer } from "./find-referrers.ts";
import type { JudgeOptions } from "./judge.ts";
import type { Remark, SignatureVerdict } from "./remark.ts";
import type { VerificationKey } from "./verification-keys.ts";

/** fs-verity digests of an image that are known for certain. What is unknown is not compared. */
export type ComposefsFacts = (role: ArtifactDigest["role"], algorithm: VerityAlgorithm) => string | undefined;

type LayerDigest = ArtifactDigest & { readonly layer: Descriptor };

/**
 * @throws {FormatError} `composefs.artifact.*`, `cms.*`, `der.*`
 * @throws {VerificationError} `referrers.composefs-differs` when a digest is not that of the image
 */
export async function judgeComposefs(
  { load }: FoundReferrer,
  { layers }: Manifest,
  { composefs, keys }: JudgeOptions,
): Promise<Omit<Remark, "digest" | "artifactType" | "tag">> {
  const digests = parseArtifactLayers(layers);
  const compared = digests.map((each) => compare(each, composefs));
  const signature = await judgeSignatures(digests, keys, load);
  const unknown = digests.filter((_, index) => compared[index] === undefined).map(({ role }) => role);
  const shown = digests.map(({ hex, role }) => `${role} ${hex.slice(0, 16)}...`).join(", ");
  const algorithm = digests[0]?.algorithm ?? "";
  return {
    kind: "composefs",
    signature,
    says: `${algorithm} of ${shown}${unknown.length === 0 ? "" : ` (not compared: ${unknown.join(", ")})`}`,
    data: { algorithm, digests: Object.fromEntries(digests.map(({ hex, role }) => [role, hex])), notCompared: unknown },
  };
}

function compare({ algorithm, hex, role }: ArtifactDigest, facts: ComposefsFacts): true | undefined {
  const expected = facts(role, algorithm);
  if (expected === undefined) return undefined;
  if (hex === expected) return true;
  throw new VerificationError(
    "referrers.composefs-differs",
    `composefs artifact: ${role}: found ${hex}, expected ${expected}`,
    { data: { role, found: hex, expected } },
  );
}

/** All or none: the draft knows no artifact that is signed in part. */
async function judgeSignatures(
  digests: readonly LayerDigest[],
  keys: readonly VerificationKey[],
  load: FoundReferrer["load"],
): Promise<SignatureVerdict> {
  const signed = digests.filter(({ layer }) => layer.mediaType === COMPOSEFS_SIGNATURE_TYPE && layer.size > 0);
  if (signed.length < digests.length) return { status: "unsigned" };
  if (keys.length === 0) return { status: "unchecked" };
  const names = new Set<string>();
  for (const each of signed) {
    const name = signerOf(each, await load(each.layer), keys);
    if (name === undefined) return { status: "unknown-key" };
    names.add(name);
  }
  return { status: "good", by: [...names].join(", ") };
}

/** As the kernel does it: no signed attributes, and the certificate may stay at home. */
function signerOf(
  { algorithm, hex }: ArtifactDigest,
  signature: Uint8Array,
  keys: readonly VerificationKey[],
): string | undefined {
  const { signer } = parseSignedData(signature);
  const content = formattedDigest(algorithm, Buffer.from(hex, "hex"));
  if (signer.signedAttributes !== undefined) return undefined;
  return keys.find(({ publicKey }) => isSignedWith(publicKey, signer.digestAlgorithm, content, signer.signature))?.name;
}
