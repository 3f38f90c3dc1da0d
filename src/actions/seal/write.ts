/** Writes what was planned, with its signatures, and reads it again before anybody can see it. */
import { computeAuthenticodeDigest } from "../../formats/authenticode/index.ts";
import { encodeImageConfig, encodeManifest, toBlobDigest } from "../../formats/oci/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { VerificationError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { copyBlobs } from "../../model/image/copy-blobs.ts";
import type { Image } from "../../model/image/image.ts";
import type { ImageWriter, NewManifest } from "../../model/image/image-writer.ts";
import { checkCommandLine } from "../../model/os/index.ts";
import { readImage, type SourceOptions } from "../../model/source/tree-source.ts";
import type { DigestFormats } from "./digest-formats.ts";
import { type Sealed, sealedConfig, sealedManifest } from "./documents.ts";
import {
  computeDigests,
  type Digests,
  dumpPath,
  type PlanOptions,
  type SealInput,
  type SealPlan,
  ukiPath,
} from "./plan.ts";
import type { SealReport } from "./report.ts";
import { toTopLayer, withContents } from "./top-layer.ts";

export interface WrittenSeal {
  /** In the writer, and not yet committed. */
  readonly manifest: NewManifest;
  readonly report: SealReport;
}

/** The plan with what signing made of it. */
export interface SignedPlan {
  readonly plan: SealPlan;
  /** What was unsigned in the plan, by path. */
  readonly signed: ReadonlyMap<string, Uint8Array>;
  readonly certificate: Certificate;
  /** Of those that signed everything as well. */
  readonly beside?: readonly Certificate[];
  /** The key is gone already. */
  readonly ephemeral: boolean;
  /** The image's boot loader had its signature before. */
  readonly loaderSignedBefore: boolean;
}

/**
 * Writes a sealed image, up to the moment before it is shown: what was written is read again and its digest recomputed.
 *
 * @param to what the report calls the destination
 * @throws {VerificationError} `seal.digest-differs`; whatever the writer throws
 */
export async function writeSigned(
  { addons, image, parts, prepared, reading }: SealInput,
  { beside = [], certificate, ephemeral, loaderSignedBefore, plan, signed }: SignedPlan,
  writer: ImageWriter,
  to: string,
  options: PlanOptions,
): Promise<WrittenSeal> {
  const { progress = silent, signal } = options;
  const { commandLine, digests, dump, normalization } = plan;
  const { mended } = prepared;
  const below = prepared.source.image.layers;

  const contents = new Map([...signed, ...(dump === undefined ? [] : [[dumpPath(parts), dump] as const])]);
  const layer = toTopLayer(withContents(plan.topLayer, contents), below.length, image.manifestMediaType);
  const sealed: Sealed = { layer, below, digests, buildTime: options.buildTime };
  const manifest = await writeDocuments(writer, image, sealed, { progress, signal, to });
  progress({ step: "seal.check", text: "reading back what was written" });
  await requireDigests(await writer.read(manifest), reading, digests);

  const [{ format, hex: digest }] = digests;
  const uki = signed.get(ukiPath(parts)) as Uint8Array;
  const report: SealReport = {
    source: image.name,
    sourceManifest: image.manifestDigest,
    destination: to,
    manifestDigest: toBlobDigest(manifest.manifestBytes),
    digest,
    format: format.name,
    digests: Object.fromEntries(digests.map((each) => [each.format.name, each.hex])),
    ...(dump === undefined ? {} : { dump: { path: `/${dumpPath(parts)}`, size: dump.length } }),
    ...(normalization === undefined
      ? {}
      : { normalization: { changes: normalization.changes, left: normalization.left, mendedLayers: mended } }),
    kernel: { version: parts.kernel.version, kept: options.keepKernel ?? false },
    bootLoader: {
      path: parts.loader.path,
      authenticodeDigest: peDigest(plan.loader),
      signedBefore: loaderSignedBefore,
    },
    uki: {
      path: `/${ukiPath(parts)}`,
      size: uki.length,
      authenticodeDigest: peDigest(uki),
      commandLine,
      stub: parts.stub.path,
    },
    signer: {
      subject: certificate.subject,
      fingerprint: toHex(certificate.fingerprint),
      ephemeral,
    },
    ...(beside.length === 0
      ? {}
      : {
          signersBeside: beside.map(({ fingerprint, subject }) => ({ subject, fingerprint: toHex(fingerprint) })),
        }),
    layer: { digest: layer.digest, size: layer.size },
    reusedLayers: {
      count: below.length - mended.length,
      size: below.reduce(
        (sum, { digest: name, size }) => sum + (mended.some((each) => each.digest === name) ? 0 : size),
        0,
      ),
    },
    ...(addons.length === 0
      ? {}
      : { addons: addons.map(({ path, commandLine: text }) => ({ path: `/${path}`, commandLine: text })) }),
    warnings: [...parts.warnings, ...checkCommandLine(commandLine), ...addons.flatMap(({ problems }) => problems)],
  };
  return { manifest, report };
}

interface Writing {
  readonly to: string;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

async function writeDocuments(
  writer: ImageWriter,
  image: Image,
  sealed: Sealed,
  { progress, signal, to }: Writing,
): Promise<NewManifest> {
  const blobs = [...sealed.below, sealed.layer];
  const total = blobs.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const onProgress = (bytes: number): void => {
    done += bytes;
    progress({ step: "seal.write", text: `writing ${to}`, done, total, unit: "bytes" });
  };
  await copyBlobs(writer, blobs, { signal, onProgress });
  const config = await writer.putBytes(encodeImageConfig(sealedConfig(image, sealed)), image.manifest.config.mediaType);
  const manifestBytes = encodeManifest(sealedManifest(image, config, sealed));
  return { manifestBytes, mediaType: image.manifestMediaType };
}

/** The last word before anybody can see the image: from the written layers to the digest in the written UKI. */
async function requireDigests(written: Image, reading: SourceOptions, expected: Digests): Promise<void> {
  await using source = await readImage(written, reading);
  const formats = expected.map(({ format }) => format) as unknown as DigestFormats;
  for (const [index, { hex }] of (await computeDigests(source, formats)).entries()) {
    const wanted = expected[index]?.hex;
    if (hex === wanted) continue;
    throw new VerificationError(
      "seal.digest-differs",
      `the written layers give the digest ${hex}, the UKI has ${wanted}`,
      {
        data: { found: hex, expected: wanted },
        hint: "this is a fault of Sealwright or of the disk; nothing was published",
      },
    );
  }
}

const peDigest = (pe: Uint8Array): string => toHex(computeAuthenticodeDigest(pe));
