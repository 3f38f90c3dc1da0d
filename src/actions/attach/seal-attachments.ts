import { isIndexMediaType, parseReference, toBlobDigest } from "../../formats/oci/index.ts";
import { type AttestationKey } from "../../model/referrers/index.ts";
import { openPolicyKey, type Signer } from "../../model/signing/index.ts";
import type { SealedManifest, SealOptions } from "../seal/seal-image.ts";
import { attachToImage, attachToIndex } from "./attach-all.ts";
import { ALL_KINDS, ATTACHMENT_KINDS, parseAttachmentKinds } from "./kinds.ts";
import { sealProvenance } from "./provenance.ts";
import type { AttachedTo } from "./report.ts";

export interface SealAttachmentOptions {
  /** Kinds with commas between them, or `all`. */
  readonly attest: string;
  /** Key for statements and signatures, in the notation of `openSigner`. Default: the one that seals. */
  readonly signWith?: string | undefined;
  /** `HOST/REPOSITORY` to sign for, where that is not where the image goes. */
  readonly signAs?: string | undefined;
  /** Of Sealwright. */
  readonly toolVersion: string;
}

export interface SealAttachments extends AsyncDisposable {
  /** For `SealOptions.beforeShown`. */
  attach(sealed: SealedManifest): Promise<void>;
  /** What was said so far. */
  readonly done: readonly AttachedTo[];
}

/**
 * Prepares what is said about images that are being sealed, to be shown together with them.
 *
 * @throws {UsageError} `attach.kind-unknown`; whatever opening the key throws
 */
export async function openSealAttachments(
  { attest, signAs, signWith, toolVersion }: SealAttachmentOptions,
  sealing: SealOptions,
): Promise<SealAttachments> {
  const kinds = parseAttachmentKinds(attest, ATTACHMENT_KINDS);
  const own = signWith === undefined ? undefined : await openPolicyKey(signWith, sealing);
  const done: AttachedTo[] = [];
  return {
    done,
    async attach({ manifest, report, signer, writer }) {
      const { manifestBytes, mediaType } = manifest;
      const about = { mediaType, digest: toBlobDigest(manifestBytes), size: manifestBytes.length };
      const attaching = {
        writer,
        reference: signAs ?? repositoryOf(sealing.to),
        key: own ?? toAttestationKey(signer),
        composefsSigner: signer,
        lenient: attest === ALL_KINDS,
        toolVersion,
        buildTime: sealing.buildTime,
        progress: sealing.progress,
        reading: sealing,
      };
      if (isIndexMediaType(mediaType)) {
        done.push({ manifestDigest: about.digest, ...(await attachToIndex(about, kinds, attaching)) });
        return;
      }
      const provenance = report && sealProvenance(report, sealing, toolVersion);
      const subject = { about, image: await writer.read(manifest), provenance };
      done.push({ manifestDigest: about.digest, ...(await attachToImage(subject, kinds, attaching)) });
    },
    [Symbol.asyncDispose]: async () => await own?.[Symbol.asyncDispose](),
  };
}

export const toAttestationKey = (signer: Signer): AttestationKey => ({
  publicKey: signer.certificate.publicKey,
  sign: (message) => signer.sign(message),
});

/** The name an image in a registry is known by; elsewhere it has none yet. */
export function repositoryOf(text: string): string {
  const reference = parseReference(text);
  return reference.transport === "docker" ? `${reference.registry}/${reference.repository}` : "";
}
