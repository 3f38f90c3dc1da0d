/** What is in an image, and whether it can be sealed or is. */
import { listSignatures } from "../../formats/authenticode/index.ts";
import { showPlatform } from "../../formats/oci/index.ts";
import { parsePe } from "../../formats/pe/index.ts";
import { findComposefsArguments, findText, parseKargsToml, parseUki } from "../../formats/uki/index.ts";
import { FormatError, UsageError } from "../../lib/errors.ts";
import type { Progress } from "../../lib/progress.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import type { Image } from "../../model/image/image.ts";
import {
  checkAddon,
  checkOs,
  findArchitecture,
  findBootLoader,
  findKernel,
  findOsRelease,
  findUkis,
  listKargsFiles,
  type OsFile,
  type OsProblem,
  parseOsRelease,
} from "../../model/os/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import { openTreeSource, type TreeSource } from "../../model/source/tree-source.ts";

export interface InspectOptions {
  readonly platform?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

export interface ImageReport {
  readonly source: string;
  readonly manifestDigest?: string;
  readonly platform?: string;
  readonly created?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly layers?: readonly {
    readonly digest: string;
    readonly diffId: string;
    /** Stored bytes. */
    readonly size: number;
    readonly compression: string;
    readonly createdBy?: string;
  }[];
  readonly os: { readonly id: string; readonly versionId?: string; readonly name: string } | null;
  /** As `bootc container inspect` has it; `null` without a kernel. */
  readonly kernel: { readonly version: string; readonly unified: boolean } | null;
  /** Of kargs.d, for this architecture. */
  readonly kargs: readonly string[];
  readonly bootLoader: { readonly path: string; readonly signers: readonly string[] } | null;
  /** Of the UKI; `null` when the image has none. */
  readonly seal: {
    readonly uki: string;
    readonly commandLine: string;
    readonly digests: readonly string[];
    readonly signers: readonly string[];
  } | null;
  /** Addons that it offers, with whom their signatures name. */
  readonly addons: readonly {
    readonly path: string;
    readonly commandLine: string;
    readonly signers: readonly string[];
    readonly problems: readonly OsProblem[];
  }[];
  /** What stands in the way of sealing it, or of a host that runs it. */
  readonly problems: readonly OsProblem[];
}

/** @throws {UsageError} `inspect.dump` for a dumpfile or a composefs image, which have no contents */
export async function inspectImage(reference: string, options: InspectOptions = {}): Promise<ImageReport> {
  await using source = await openTreeSource(reference, { ...options, algorithms: ["sha512"] });
  if (source.kind === "dump" || source.kind === "erofs") {
    throw new UsageError("inspect.dump", `${reference}: there are no file contents in it to look into`, {
      hint: "sealwright digest prints its digest",
    });
  }
  const architecture = findArchitecture(source.image?.config.architecture ?? hostPlatform().architecture);
  const { kernel } = findKernel(source.tree);
  const kargs = await Promise.all(
    listKargsFiles(source.tree).map(async (file) =>
      parseKargsToml(await readFile(source, file), architecture?.kernel ?? "", file.path),
    ),
  );
  const osRelease = findOsRelease(source.tree);
  const loader = architecture === undefined ? undefined : findBootLoader(source.tree, architecture).systemdBoot;
  return {
    source: reference,
    ...(source.image === undefined ? {} : describeOci(source.image)),
    os: osRelease === undefined ? null : describeOs(await readFile(source, osRelease)),
    kernel: kernel === undefined ? null : { version: kernel.version, unified: kernel.unified },
    kargs: kargs.flat(),
    bootLoader: loader === undefined ? null : { path: loader.path, signers: signersOf(await readFile(source, loader)) },
    seal: kernel?.unified ? describeSeal(kernel.uki.path, await readFile(source, kernel.uki)) : null,
    addons: await Promise.all(
      findUkis(source.tree)
        .filter(({ kind }) => kind !== "uki")
        .map(async (file) => describeAddon(file.path, await readFile(source, file))),
    ),
    problems: architecture === undefined ? [] : checkOs(source.tree, architecture),
  };
}

async function readFile(source: TreeSource, { content }: OsFile): Promise<Uint8Array> {
  const [bytes] = await source.read([content]);
  return bytes as Uint8Array;
}

function describeOci({ config, layers, manifestDigest }: Image) {
  return {
    manifestDigest,
    platform: showPlatform(config),
    ...(config.created ? { created: config.created } : {}),
    ...(config.config?.Labels ? { labels: config.config.Labels } : {}),
    layers: layers.map(({ compression, createdBy, diffId, digest, size }) => ({
      digest,
      diffId,
      size,
      compression,
      ...(createdBy === undefined ? {} : { createdBy }),
    })),
  };
}

function describeOs(bytes: Uint8Array) {
  const { id, name, versionId } = parseOsRelease(bytes);
  return { id, name, ...(versionId === undefined ? {} : { versionId }) };
}

function describeSeal(path: string, bytes: Uint8Array) {
  const commandLine = findText(parseUki(bytes), ".cmdline") ?? "";
  const digests = findComposefsArguments(commandLine).map(({ digestHex }) => digestHex);
  return { uki: path, commandLine, digests, signers: signersOf(bytes) };
}

/** What cannot be read is reported, like everything else that is wrong with it. */
function describeAddon(path: string, bytes: Uint8Array): ImageReport["addons"][number] {
  try {
    const addon = parseUki(bytes);
    const commandLine = findText(addon, ".cmdline")?.trim() ?? "";
    return { path, commandLine, signers: signersOf(bytes), problems: checkAddon(addon, path) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const problem = { code: error.code, message: `${path}: ${error.message}`, path };
    return { path, commandLine: "", signers: [], problems: [problem] };
  }
}

/** Whom the signatures name; nothing is verified here. */
function signersOf(bytes: Uint8Array): string[] {
  return listSignatures(parsePe(bytes)).map((signature) =>
    signature.kind === "authenticode" ? (signature.signer?.subject ?? "unknown signer") : "unreadable signature",
  );
}
