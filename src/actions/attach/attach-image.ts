/** Says things about an image that is there already: a registry or a layout keeps them beside it. */
import {
  type Descriptor,
  isIndexMediaType,
  parseImageIndex,
  parsePlatform,
  parseReference,
  showPlatform,
} from "../../formats/oci/index.ts";
import { UnsupportedError, UsageError } from "../../lib/errors.ts";
import type { Progress } from "../../lib/progress.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import { openImageWriter } from "../../model/image/image-writer.ts";
import { openImageSource } from "../../model/image/open-image.ts";
import {
  chooseCandidate,
  completeImage,
  type ImageSource,
  loadManifest,
  resolveIndexes,
} from "../../model/image/source.ts";
import type { Registries } from "../../model/registry/index.ts";
import { openPolicyKey, openSigner, type SignerOptions } from "../../model/signing/index.ts";
import { type Attaching, attachToImage, attachToIndex } from "./attach-all.ts";
import { ALL_KINDS, type AttachmentKind, parseAttachmentKinds } from "./kinds.ts";
import type { AttachedTo } from "./report.ts";
import { repositoryOf, toAttestationKey } from "./seal-attachments.ts";

export interface AttachOptions extends SignerOptions {
  /** Kinds with commas between them, or `all`. */
  readonly kinds: string;
  /** A key in the notation of `openSigner`; a certificate beside it signs composefs digests, too. */
  readonly key?: string | undefined;
  /** `HOST/REPOSITORY` to sign for, where that is not where the image is. */
  readonly signAs?: string | undefined;
  /** One image of an index, and not the index with all of them. */
  readonly platform?: string | undefined;
  readonly toolVersion: string;
  readonly buildTime?: Date | undefined;
  readonly cacheDirectory?: string | undefined;
  readonly registries?: Registries | undefined;
  readonly progress?: Progress | undefined;
}

export interface AttachReport {
  readonly image: string;
  readonly images: readonly AttachedTo[];
}

/** Who has an image in hand can say what is in it, not how it was made. */
const POSSIBLE: readonly AttachmentKind[] = ["sbom", "composefs", "signature"];

/**
 * @throws {UsageError} `attach.kind-unknown`, `attach.kind-impossible`, `attach.key-missing`
 * @throws {UnsupportedError} `attach.transport-unsupported` where nothing can be added to an image
 * @throws whatever opening the image, the key and the writer throw
 */
export async function attachImage(reference: string, options: AttachOptions): Promise<AttachReport> {
  const kinds = parseAttachmentKinds(options.kinds, POSSIBLE);
  const target = requireTarget(reference);
  if (kinds.includes("signature") && options.key === undefined) {
    throw new UsageError("attach.key-missing", "no key to sign the image with", { hint: "name one with --key" });
  }
  await using key = await openKey(options);
  const { registries, signal } = options;
  const opening = { registries, ...(signal && { signal }) };
  await using source = await openImageSource(reference, opening);
  await using writer = await openImageWriter(target, opening);
  const attaching: Attaching = {
    writer,
    earlier: source,
    reference: options.signAs ?? repositoryOf(target),
    key: key?.attestation,
    composefsSigner: key?.signer,
    lenient: options.kinds === ALL_KINDS,
    toolVersion: options.toolVersion,
    buildTime: options.buildTime,
    progress: options.progress,
    reading: options,
  };
  const images = await attachTo(source, kinds, attaching, options);
  await writer.commitAttached();
  return { image: reference, images };
}

async function attachTo(
  source: ImageSource,
  kinds: readonly AttachmentKind[],
  attaching: Attaching,
  { platform }: AttachOptions,
): Promise<readonly AttachedTo[]> {
  const wanted = {
    platform: platform === undefined ? hostPlatform() : parsePlatform(platform),
    platformRequired: platform !== undefined,
  };
  const top = await chooseCandidate(source, wanted);
  if (!isIndexMediaType(top.mediaType)) return [await attachToOne(source, top, kinds, attaching)];
  if (platform !== undefined) {
    return [await attachToOne(source, await resolveIndexes(source, top, wanted), kinds, attaching)];
  }
  const index = parseImageIndex(await loadManifest(source, top), `${source.name}: image index`);
  const done: AttachedTo[] = [];
  for (const entry of index.manifests) {
    if (entry.platform?.os === "linux") done.push(await attachToOne(source, entry, kinds, attaching));
  }
  return [...done, { manifestDigest: top.digest, ...(await attachToIndex(top, kinds, attaching)) }];
}

async function attachToOne(
  source: ImageSource,
  { digest, mediaType, platform, size }: Descriptor,
  kinds: readonly AttachmentKind[],
  attaching: Attaching,
): Promise<AttachedTo> {
  const about = { mediaType, digest, size };
  const view: ImageSource = {
    ...source,
    candidates: () => Promise.resolve([about]),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const image = await completeImage(view, { platform: platform ?? hostPlatform(), platformRequired: false });
  const done = await attachToImage({ about, image }, kinds, attaching);
  return { manifestDigest: digest, ...(platform && { platform: showPlatform(platform) }), ...done };
}

/** With a certificate it is a signer; a bare key signs statements only. */
async function openKey(options: AttachOptions) {
  const { certificatePath, key } = options;
  if (key === undefined) return undefined;
  if (certificatePath === undefined) {
    const bare = await openPolicyKey(key, options);
    return { attestation: bare, signer: undefined, [Symbol.asyncDispose]: () => bare[Symbol.asyncDispose]() };
  }
  const signer = await openSigner(key, { ...options, allowEllipticCurve: true });
  return { attestation: toAttestationKey(signer), signer, [Symbol.asyncDispose]: () => signer[Symbol.asyncDispose]() };
}

/** Where a reference's image is, as a place to add to. Nothing gets the tag, it is there for paths with colons. */
function requireTarget(text: string): string {
  const reference = parseReference(text);
  if (reference.transport === "docker") return `docker://${reference.registry}/${reference.repository}`;
  if (reference.transport === "oci") return `oci:${reference.path}:attached`;
  throw new UnsupportedError(
    "attach.transport-unsupported",
    `${text}: nothing can be added to an image there, expected one in a registry or an OCI layout`,
    { hint: `copy it first: sealwright copy ${text} oci:DIR:TAG`, data: { transport: reference.transport } },
  );
}
