/**
 * The storage of Podman, CRI-O and Buildah, through the program that knows how it is laid out: skopeo, or podman. The
 * image passes through an OCI archive in a temporary directory.
 */
import { join } from "node:path";
import type { Descriptor } from "../../formats/oci/descriptor.ts";
import { REF_NAME } from "../../formats/oci/image-index.ts";
import { CommandError, UnsupportedError } from "../../lib/errors.ts";
import { runCommand } from "../host-io/command.ts";
import { openTempDir } from "../host-io/temp.ts";
import { openArchiveSink } from "./archive-sink.ts";
import { openArchiveStore } from "./file-store.ts";
import type { ImageSink, ImageWriterOptions } from "./image-sink.ts";
import { openLayoutSource } from "./layout-source.ts";
import type { ImageSource } from "./source.ts";

type Argv = readonly [string, ...string[]];

/**
 * Copies an image out of the storage and opens the copy.
 *
 * @param name of the image, as Podman shows it
 * @throws {UnsupportedError} `image.engine-missing` without skopeo and podman
 * @throws {CommandError} `command.failed`: no such image among others
 */
export async function openContainersStorageSource(
  name: string,
  text: string,
  signal?: AbortSignal,
): Promise<ImageSource> {
  const temp = await openTempDir();
  const archive = join(temp.path, "image.tar");
  try {
    const ways: readonly Argv[] = [
      ["skopeo", "copy", "--quiet", `containers-storage:${name}`, `oci-archive:${archive}`],
      ["podman", "save", "--quiet", "--format", "oci-archive", "--output", archive, "--", name],
    ];
    await runFirst(ways, text, signal);
    const source = await openLayoutSource(await openArchiveStore(archive, signal), text);
    return { ...source, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() };
  } catch (error) {
    await temp[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Collects an image in an archive and brings it into the storage when it is published.
 *
 * @throws {UnsupportedError} `image.engine-missing`, when it is published
 */
export async function openContainersStorageSink(
  name: string,
  text: string,
  { signal }: ImageWriterOptions = {},
): Promise<ImageSink> {
  const temp = await openTempDir();
  const archive = join(temp.path, "image.tar");
  const inner = await openArchiveSink(archive, signal === undefined ? {} : { signal }).catch(async (error: unknown) => {
    await temp[Symbol.asyncDispose]();
    throw error;
  });
  return {
    has: (digest) => inner.has(digest),
    put: (blob, content) => inner.put(blob, content),
    find: (descriptor, what) => inner.find(descriptor, what),
    copy: (blob) => inner.copy(blob),
    async publish({ entries, referrers }) {
      const [entry, ...others] = entries.toReversed() as [Descriptor, ...Descriptor[]];
      if (referrers.length + others.length > 0) throw keepsNoReferrers(text);
      // Podman takes the name from here; skopeo is told, and takes the only image there is.
      const named = { ...entry, annotations: { ...entry.annotations, [REF_NAME]: name } };
      await inner.publish({ entries: [named], referrers: [] });
      const ways: readonly Argv[] = [
        ["skopeo", "copy", "--quiet", `oci-archive:${archive}`, `containers-storage:${name}`],
        ["podman", "load", "--quiet", "--input", archive],
      ];
      await runFirst(ways, text, signal);
    },
    async [Symbol.asyncDispose]() {
      await inner[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

function keepsNoReferrers(text: string): UnsupportedError {
  return new UnsupportedError(
    "image.referrers-unsupported",
    `${text}: the storage of container engines keeps images, and nothing that is said about them`,
    { hint: "leave out --referrers or --attest, or write to a registry or an OCI layout" },
  );
}

/** Runs the first of these programs that there is. */
async function runFirst(ways: readonly Argv[], text: string, signal: AbortSignal | undefined): Promise<void> {
  for (const argv of ways) {
    try {
      await runCommand(argv, signal === undefined ? {} : { signal });
      return;
    } catch (error) {
      if (!(error instanceof CommandError) || error.code !== "command.not-found") throw error;
    }
  }
  const programs = ways.map(([program]) => program).join(" or ");
  throw new UnsupportedError("image.engine-missing", `${text}: the storage of container engines needs ${programs}`, {
    hint: "install skopeo, or copy the image to a registry or an archive with the engine",
  });
}
