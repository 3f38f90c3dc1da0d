import { FormatError, quote } from "../../lib/errors.ts";
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../fsverity/index.ts";

export const COMPOSEFS_ARTIFACT_TYPE = "application/vnd.composefs.metadata.v1";
export const COMPOSEFS_SIGNATURE_TYPE = "application/vnd.composefs.signature.v1+pkcs7";

/** What a digest is of, in the order that layers of the artifact have. */
export const ARTIFACT_ROLES = ["manifest", "config", "merged", "merged.bootable"] as const;

export type ArtifactRole = (typeof ARTIFACT_ROLES)[number];

export interface ArtifactDigest {
  readonly role: ArtifactRole;
  readonly algorithm: VerityAlgorithm;
  /** fs-verity digest, lower-case hex. */
  readonly hex: string;
}

/** Roles whose digest is that of an EROFS image, which has a format version. */
const isErofs = (role: ArtifactRole): boolean => role.startsWith("merged");

/** The name of the annotation that holds a digest: blocks of 4096 bytes, EROFS format 1. */
export function artifactAnnotation(role: ArtifactRole, algorithm: VerityAlgorithm): string {
  return `composefs.${role}.${isErofs(role) ? "erofs.v1." : ""}fsverity-${algorithm}-12`;
}

const NAME = /^composefs\.(manifest|config|merged(?:\.bootable)?)\.(?:erofs\.v1\.)?fsverity-(sha256|sha512)-12$/;
const hexDigits = (algorithm: VerityAlgorithm): number => 2 * VERITY_ALGORITHMS[algorithm].digestSize;

/**
 * @returns nothing for an annotation of another kind, or of a version or block size that we do not compute
 * @throws {FormatError} `composefs.artifact.malformed` when the value is no digest
 */
export function parseArtifactAnnotation(name: string, value: string, what = "annotation"): ArtifactDigest | undefined {
  const [, role, algorithm] = (NAME.exec(name) as [string, ArtifactRole, VerityAlgorithm] | null) ?? [];
  if (role === undefined || algorithm === undefined || name !== artifactAnnotation(role, algorithm)) return undefined;
  if (value.length === hexDigits(algorithm) && /^[0-9a-f]+$/.test(value)) return { role, algorithm, hex: value };
  const expected = `${hexDigits(algorithm)} lower-case hex digits`;
  throw new FormatError("composefs.artifact.malformed", { what: `${what}: ${name}`, expected, found: quote(value) });
}

/**
 * The digests of an artifact, each with the layer it stands on.
 *
 * @throws {FormatError} `composefs.artifact.malformed`, `composefs.artifact.order`, `composefs.artifact.algorithms`,
 *   `composefs.artifact.incomplete` without a digest of the merged tree
 */
export function parseArtifactLayers<
  Layer extends { readonly annotations?: Readonly<Record<string, string>> | null | undefined },
>(layers: readonly Layer[], what = "composefs artifact"): readonly (ArtifactDigest & { readonly layer: Layer })[] {
  const found = layers.flatMap((layer) =>
    Object.entries(layer.annotations ?? {}).flatMap(([name, value]) => {
      const digest = parseArtifactAnnotation(name, value, what);
      return digest === undefined ? [] : [{ ...digest, layer }];
    }),
  );
  const refuse = (code: string, expected: string, roles: string): FormatError =>
    new FormatError(`composefs.artifact.${code}`, { what, expected, found: roles });
  const shown = found.map(({ algorithm, role }) => `${role} ${algorithm}`).join(", ") || "none";
  if (!found.some(({ role }) => role === "merged")) throw refuse("incomplete", "a digest of the merged tree", shown);
  if (new Set(found.map(({ algorithm }) => algorithm)).size > 1) throw refuse("algorithms", "one algorithm", shown);
  const places = found.map(({ role }) => ARTIFACT_ROLES.indexOf(role));
  if (places.some((place, index) => index > 0 && place <= (places[index - 1] as number))) {
    throw refuse("order", `each once, in the order ${ARTIFACT_ROLES.join(", ")}`, shown);
  }
  return found;
}
