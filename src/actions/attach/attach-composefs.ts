import { signDetached, wrapSignedData } from "../../formats/cms/index.ts";
import {
  ARTIFACT_ROLES,
  type ArtifactDigest,
  artifactAnnotation,
  COMPOSEFS_ARTIFACT_TYPE,
  COMPOSEFS_SIGNATURE_TYPE,
  formattedDigest,
  parseArtifactAnnotation,
} from "../../formats/composefs-artifact/index.ts";
import { computeFsverityDigest, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type Descriptor, EMPTY_JSON, type Manifest, MEDIA_TYPE } from "../../formats/oci/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { computeComposefsDigest, parseComposefsFormat } from "../../model/composefs/index.ts";
import type { ImageWriter } from "../../model/image/image-writer.ts";
import { attachArtifact } from "../../model/referrers/index.ts";
import type { Signer } from "../../model/signing/index.ts";
import type { ImageTree } from "../../model/source/tree-source.ts";
import { toBootTree, toOciTree } from "../../model/tree/transform.ts";
import type { Attached } from "./report.ts";

/** Which hash an image's own annotations use; that of bootc where it has none. */
export function composefsAlgorithm({ annotations }: Manifest): VerityAlgorithm {
  const own = Object.entries(annotations ?? {}).map(([name, value]) => parseArtifactAnnotation(name, value));
  return own.find((each) => each !== undefined)?.algorithm ?? "sha512";
}

export interface ComposefsAttaching {
  readonly writer: ImageWriter;
  /** Signs each digest in the form the kernel takes with a file (keyring `.fs-verity`). */
  readonly composefsSigner?: Signer | undefined;
}

export interface ComposefsSubject {
  readonly about: Descriptor;
  readonly algorithm: VerityAlgorithm;
  /** Read with this algorithm. Its tree is changed. */
  readonly source: ImageTree;
}

/**
 * Attaches the composefs digests of an image.
 *
 * @throws as `toOciTree` and `toBootTree`
 */
export async function attachComposefs(
  { composefsSigner: signer, writer }: ComposefsAttaching,
  { about, algorithm, source }: ComposefsSubject,
): Promise<readonly Attached[]> {
  const digests = await computeDigests(source, algorithm);
  const layers = [];
  for (const { hex, role } of digests) {
    const annotations = { [artifactAnnotation(role, algorithm)]: hex };
    const message = formattedDigest(algorithm, Buffer.from(hex, "hex"));
    layers.push(
      signer === undefined
        ? { bytes: EMPTY_JSON, mediaType: MEDIA_TYPE.empty, annotations }
        : { bytes: await signMessage(message, signer), mediaType: COMPOSEFS_SIGNATURE_TYPE, annotations },
    );
  }
  const { digest } = await attachArtifact(writer, { artifactType: COMPOSEFS_ARTIFACT_TYPE, subject: about, layers });
  const roles = digests.map(({ role }) => role).join(", ");
  const says = `${algorithm} of ${roles}`;
  return [{ kind: "composefs", digest, as: COMPOSEFS_ARTIFACT_TYPE, signed: signer !== undefined, says }];
}

async function signMessage(message: Uint8Array, signer: Signer): Promise<Uint8Array> {
  return wrapSignedData(await signDetached(message, signer.certificate, (bytes) => signer.sign(bytes)));
}

async function computeDigests(source: ImageTree, algorithm: VerityAlgorithm): Promise<readonly ArtifactDigest[]> {
  const format = parseComposefsFormat(`v1-${algorithm}`);
  const { configBytes, manifestBytes } = source.image;
  const hex: Record<ArtifactDigest["role"], string> = {
    manifest: toHex(computeFsverityDigest(manifestBytes, algorithm)),
    config: toHex(computeFsverityDigest(configBytes, algorithm)),
    merged: "",
    "merged.bootable": "",
  };
  toOciTree(source.tree);
  hex.merged = toHex(computeComposefsDigest(source.tree, format));
  await toBootTree(source.tree, async (content) => (await source.read([content]))[0] as Uint8Array);
  hex["merged.bootable"] = toHex(computeComposefsDigest(source.tree, format));
  return ARTIFACT_ROLES.map((role) => ({ role, algorithm, hex: hex[role] }));
}
