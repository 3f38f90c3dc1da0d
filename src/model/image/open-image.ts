import { parsePlatform } from "../../formats/oci/platform.ts";
import { parseReference, type Reference } from "../../formats/oci/reference.ts";
import { UnsupportedError, UsageError } from "../../lib/errors.ts";
import type { Registries } from "../registry/index.ts";
import { openContainersStorageSource } from "./containers-storage.ts";
import { openDockerArchiveSource } from "./docker-archive-source.ts";
import { openArchiveStore, openDirectoryStore } from "./file-store.ts";
import { hostPlatform } from "./host-platform.ts";
import type { Image } from "./image.ts";
import { openLayoutSource } from "./layout-source.ts";
import { openRegistrySource } from "./registry-source.ts";
import { completeImage, type ImageSource } from "./source.ts";

export interface OpenImageOptions {
  /**
   * `linux/amd64`, `linux/arm/v7`. Without it an index gives the image for Linux on this CPU, and an image that is
   * the only one is taken whatever it is for.
   */
  readonly platform?: string;
  /** Needed to read from a registry. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal;
}

/**
 * Opens the image that a reference names. Manifest and config are read and checked against their digests; layers are
 * found, and checked by whoever reads them.
 *
 * @throws {UsageError} `reference.*`, `platform.malformed`, `image.ambiguous`, `image.reference.not-an-image`
 * @throws {NotFoundError} `input.not-found`, `image.not-found`, `image.tag.not-found`, `image.platform.not-found`,
 *   `image.blob.missing`
 * @throws {UnsupportedError} `image.transport.unsupported`, `image.archive.compressed`, `oci.*.media-type-unsupported`
 * @throws {FormatError} `oci.*`, `tar.*`, `image.archive.*`
 * @throws {RegistryError} `registry.*`
 * @throws {VerificationError} `image.blob.digest-mismatch`, `image.blob.size-mismatch`
 */
export async function openImage(reference: string, options: OpenImageOptions = {}): Promise<Image> {
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const source = await openImageSource(reference, options);
  try {
    return await completeImage(source, { platform, platformRequired: options.platform !== undefined, ...signal });
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}

/** Opens the place that a reference names. Every transport that can hold an image has its line here. */
export async function openImageSource(
  text: string,
  { registries, signal }: Pick<OpenImageOptions, "registries" | "signal"> = {},
): Promise<ImageSource> {
  const reference: Reference = parseReference(text);
  switch (reference.transport) {
    case "oci":
      return await openLayoutSource(await openDirectoryStore(reference.path), text, reference.select);
    case "oci-archive":
      return await openLayoutSource(await openArchiveStore(reference.path, signal), text, reference.select);
    case "docker-archive":
      return await openDockerArchiveSource(await openArchiveStore(reference.path, signal), text, reference.select);
    case "docker":
      if (registries === undefined) throw unreachable(text);
      return await openRegistrySource(reference, text, registries, signal);
    case "containers-storage":
      return await openContainersStorageSource(reference.name, text, signal);
    case "dir":
    case "dump":
    case "erofs":
      throw new UsageError("image.reference.not-an-image", `${text}: a file tree, expected an image`);
    default:
      return reference satisfies never;
  }
}

/** A library call without registries: the command line has them always. */
function unreachable(text: string): UnsupportedError {
  return new UnsupportedError("image.transport.unsupported", `${text}: no registries were given to read it from`, {
    hint: `copy it first: skopeo copy ${text} oci:DIR:TAG`,
    data: { transport: "docker" },
  });
}
