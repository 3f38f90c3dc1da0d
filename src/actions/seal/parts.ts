/** What sealing takes out of an image, found and read before anything is computed or signed. */
import { parseKargsToml } from "../../formats/uki/index.ts";
import { PolicyError, UnsupportedError } from "../../lib/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";
import {
  ARCHITECTURES,
  type Architecture,
  checkOs,
  findArchitecture,
  findBootLoader,
  findKernel,
  findOsRelease,
  listKargsFiles,
  type OsFile,
  type OsProblem,
  type RawKernel,
} from "../../model/os/index.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";

export interface SealParts {
  readonly architecture: Architecture;
  readonly kernel: RawKernel;
  readonly linux: Uint8Array;
  readonly initramfs: Uint8Array;
  readonly osRelease: Uint8Array;
  readonly loader: NamedBytes;
  /** Other boot loaders, which `bootctl install` would take in place of the one that is signed. */
  readonly staleLoaders: readonly string[];
  readonly stub: NamedBytes;
  /** Of the image's kargs.d, in file order. */
  readonly kernelArguments: readonly string[];
  readonly warnings: readonly OsProblem[];
}

export interface NamedBytes {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Safety limit: stubs have some hundred KiB. */
const MAX_STUB_SIZE = 16 << 20;

/**
 * @param architectureName GOARCH, from the image config
 * @param stubPath a stub to use in the place of the image's
 * @throws {PolicyError} with the code of the first problem of `checkOs` that forbids sealing
 * @throws {UnsupportedError} `image.architecture-unsupported`
 */
export async function findSealParts(
  source: TreeSource,
  architectureName: string,
  stubPath: string | undefined,
): Promise<SealParts> {
  const architecture = requireArchitecture(architectureName, source.name);
  const warnings = judge(checkOs(source.tree, architecture), source.name, stubPath !== undefined);
  // checkOs found no fault, so these are there.
  const kernel = findKernel(source.tree).kernel as RawKernel & { readonly initramfs: OsFile };
  const osRelease = findOsRelease(source.tree) as OsFile;
  const { systemdBoot, systemdBootSigned, stub } = findBootLoader(source.tree, architecture);
  const loader = systemdBoot as OsFile;
  const kargs = listKargsFiles(source.tree);

  const needed = [kernel.vmlinuz, kernel.initramfs, osRelease, loader, ...kargs];
  const bytesOf = await readFiles(source, stubPath === undefined ? [...needed, stub as OsFile] : needed);
  return {
    architecture,
    kernel,
    linux: bytesOf(kernel.vmlinuz),
    initramfs: bytesOf(kernel.initramfs),
    osRelease: bytesOf(osRelease),
    loader: { path: loader.path, bytes: bytesOf(loader) },
    staleLoaders: systemdBootSigned === undefined ? [] : [systemdBootSigned.path],
    stub:
      stubPath === undefined
        ? { path: (stub as OsFile).path, bytes: bytesOf(stub as OsFile) }
        : { path: stubPath, bytes: await loadFile(stubPath, "UKI stub", MAX_STUB_SIZE, "uki.stub.too-large") },
    kernelArguments: kargs.flatMap((file) => parseKargsToml(bytesOf(file), architecture.kernel, file.path)),
    warnings,
  };
}

async function readFiles(source: TreeSource, files: readonly OsFile[]): Promise<(file: OsFile) => Uint8Array> {
  const bytes = await source.read(files.map(({ content }) => content));
  const byPath = new Map(files.map(({ path }, index) => [path, bytes[index] as Uint8Array]));
  return ({ path }) => byPath.get(path) as Uint8Array;
}

function requireArchitecture(name: string, image: string): Architecture {
  const found = findArchitecture(name);
  if (found !== undefined) return found;
  const known = ARCHITECTURES.map(({ oci }) => oci).join(" and ");
  throw new UnsupportedError(
    "image.architecture-unsupported",
    `${image}: architecture "${name}": images for ${known} are sealed`,
  );
}

/** A host can live without these, if not well. Every other problem stands in the way of a seal. */
const ONLY_WARN = new Set(["image.prepare-root-missing", "image.usr-etc-present", "image.init-missing"]);

/** What sealing itself puts right. */
const PUT_RIGHT = new Set(["image.systemd-boot-signed-twice"]);

function judge(problems: readonly OsProblem[], image: string, hasOwnStub: boolean): OsProblem[] {
  const relevant = problems.filter(
    ({ code }) => !PUT_RIGHT.has(code) && !(hasOwnStub && code === "image.stub-missing"),
  );
  const [first, ...others] = relevant.filter(({ code }) => !ONLY_WARN.has(code));
  if (first !== undefined) {
    const more =
      others.length === 0 ? "" : ` (and ${others.length} more: ${others.map(({ code }) => code).join(", ")})`;
    throw new PolicyError(first.code, `${image}: ${first.message}${more}`, {
      ...(first.hint === undefined ? {} : { hint: first.hint }),
      data: { path: first.path, problems: [first, ...others] },
    });
  }
  return relevant;
}
