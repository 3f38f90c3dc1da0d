/** Says several things about one image, or about an index, into a writer. */
import { IN_TOTO_MEDIA_TYPE, PREDICATE_TYPE, type Provenance } from "../../formats/in-toto/index.ts";
import { type Descriptor, referrersTag } from "../../formats/oci/index.ts";
import { BUNDLE_MEDIA_TYPE } from "../../formats/sigstore/index.ts";
import { NotFoundError, UnsupportedError, UsageError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import type { Image } from "../../model/image/image.ts";
import type { ImageWriter } from "../../model/image/image-writer.ts";
import type { ImageSource } from "../../model/image/source.ts";
import {
  type AttestationKey,
  attachArtifact,
  attachCosignSignature,
  attachStatement,
} from "../../model/referrers/index.ts";
import { makeSbom } from "../../model/sbom/index.ts";
import type { Signer } from "../../model/signing/index.ts";
import { type ImageTree, readImage, type SourceOptions } from "../../model/source/tree-source.ts";
import { attachComposefs, composefsAlgorithm } from "./attach-composefs.ts";
import type { AttachmentKind } from "./kinds.ts";
import { digestSet, provenanceStatement } from "./provenance.ts";
import type { Attached, Attachments, Skipped } from "./report.ts";

/** What everything that is said has in common. */
export interface Attaching {
  readonly writer: ImageWriter;
  /** Where signatures from before are. */
  readonly earlier?: ImageSource;
  /** `HOST/REPOSITORY` that the image is known by. */
  readonly reference: string;
  /** Signs statements and the image; without it statements are bare. */
  readonly key?: AttestationKey | undefined;
  /** Signs composefs digests, which takes a certificate. */
  readonly composefsSigner?: Signer | undefined;
  /** Leave out what cannot be said of an image, like an SBOM of one without packages. */
  readonly lenient?: boolean;
  /** Of Sealwright. */
  readonly toolVersion: string;
  readonly buildTime?: Date | undefined;
  readonly progress?: Progress | undefined;
  readonly reading: Omit<SourceOptions, "algorithms">;
}

export interface AttachSubject {
  readonly about: Descriptor;
  /** Open; it is closed. */
  readonly image: Image;
  /** How it was made, where that is known. */
  readonly provenance?: Provenance | undefined;
}

/** @throws {UsageError} `attach.key-missing` for a signature without a key; whatever reading the image throws */
export async function attachToImage(
  { about, image, provenance }: AttachSubject,
  kinds: readonly AttachmentKind[],
  attaching: Attaching,
): Promise<Attachments> {
  const { lenient = false, progress = silent, reading } = attaching;
  const algorithm = composefsAlgorithm(image.manifest);
  const needsTree = kinds.includes("sbom") || kinds.includes("composefs");
  const tree = needsTree ? await readImage(image, { ...reading, algorithms: [algorithm] }) : undefined;
  await using _ = tree ?? image;
  const ways: Readonly<Record<AttachmentKind, () => Promise<readonly Attached[]>>> = {
    sbom: () => attachSbom(about, tree as ImageTree, attaching),
    provenance: () => attachProvenance(about, provenance, attaching),
    composefs: () => attachComposefs(attaching, { about, algorithm, source: tree as ImageTree }),
    signature: () => attachSignature(about, attaching),
  };
  const attached: Attached[] = [];
  const skipped: Skipped[] = [];
  for (const kind of kinds) {
    progress({ step: `attach.${kind}`, text: `attaching ${kind}` });
    try {
      attached.push(...(await ways[kind]()));
    } catch (error) {
      if (!lenient || !(error instanceof NotFoundError || error instanceof UnsupportedError)) throw error;
      skipped.push({ kind, code: error.code, reason: error.message });
    }
  }
  return { attached, skipped };
}

/** An index is signed; the rest is said of its images. */
export async function attachToIndex(
  about: Descriptor,
  kinds: readonly AttachmentKind[],
  attaching: Attaching,
): Promise<Attachments> {
  return { attached: kinds.includes("signature") ? await attachSignature(about, attaching) : [], skipped: [] };
}

/** As a document that scanners find, and where it can be signed, once more as a statement. */
async function attachSbom(about: Descriptor, source: ImageTree, attaching: Attaching): Promise<readonly Attached[]> {
  const { buildTime, key, reference, toolVersion, writer } = attaching;
  const sbom = await makeSbom(source, {
    name: reference || about.digest,
    manifestDigest: about.digest,
    toolVersion,
    buildTime,
  });
  const mediaType = "application/vnd.cyclonedx+json";
  const layers = [{ bytes: sbom.bytes, mediaType }];
  const { digest } = await attachArtifact(writer, { artifactType: mediaType, subject: about, layers });
  const says = `CycloneDX 1.6, ${sbom.components} components`;
  const bare: Attached = { kind: "sbom", digest, as: mediaType, signed: false, says };
  if (key === undefined) return [bare];
  const statement = { predicateType: PREDICATE_TYPE.cycloneDx, predicate: sbom.document };
  return [bare, await attachNewStatement("sbom", { about, says, ...statement }, attaching)];
}

async function attachProvenance(
  about: Descriptor,
  provenance: Provenance | undefined,
  attaching: Attaching,
): Promise<readonly Attached[]> {
  if (provenance === undefined) return [];
  const says = `built from ${provenance.dependencies.map(({ uri }) => uri).join(", ")}`;
  return [await attachNewStatement("provenance", { about, says, ...provenanceStatement(provenance) }, attaching)];
}

/** Both ways that cosign knows: under a tag, and as a statement that says no more than that. */
async function attachSignature(about: Descriptor, attaching: Attaching): Promise<readonly Attached[]> {
  const { earlier, key, reference, writer } = attaching;
  if (key === undefined) {
    throw new UsageError("attach.key-missing", "no key to sign the image with", { hint: "name one with --sign-with" });
  }
  const place = { about, reference, ...(earlier && { source: earlier }) };
  const { digest } = await attachCosignSignature(writer, place, key);
  const says = reference === "" ? "signed for no repository: --sign-as names one" : `signed as ${reference}`;
  const tagged: Attached = { kind: "signature", digest, as: `${referrersTag(about.digest)}.sig`, signed: true, says };
  const statement = { predicateType: PREDICATE_TYPE.cosignSignature, predicate: {} };
  return [tagged, await attachNewStatement("signature", { about, says, ...statement }, attaching)];
}

async function attachNewStatement(
  kind: AttachmentKind,
  {
    about,
    says,
    ...statement
  }: {
    readonly about: Descriptor;
    readonly says: string;
    readonly predicateType: string;
    readonly predicate: unknown;
  },
  { key, reference, writer }: Attaching,
): Promise<Attached> {
  const subject = { name: reference || about.digest, digest: digestSet(about.digest) };
  const { digest } = await attachStatement(writer, { about, subject, ...statement }, key);
  const signed = key !== undefined;
  return { kind, digest, as: signed ? BUNDLE_MEDIA_TYPE : IN_TOTO_MEDIA_TYPE, signed, says };
}
