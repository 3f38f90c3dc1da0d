/** What an image brings to the ESP, found in its merged tree and read before anything is laid out. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { parsePe } from "../../formats/pe/index.ts";
import {
  type ComposefsArgument,
  findMagic,
  findSection,
  findText,
  parseKargsToml,
  parseUki,
} from "../../formats/uki/index.ts";
import { FormatError, NotFoundError, PolicyError, UnsupportedError } from "../../lib/errors.ts";
import {
  ARCHITECTURES,
  type Architecture,
  type BootFile,
  checkBootLoader,
  findArchitecture,
  findBootFiles,
  findBootLoader,
  findOsRelease,
  listKargsFiles,
  type OsFile,
  type OsProblem,
  type OsRelease,
  parseOsRelease,
  requireDigestArguments,
} from "../../model/os/index.ts";
import type { ImageTree } from "../../model/source/tree-source.ts";
import { type Content, lookup, sortedEntries, type Tree } from "../../model/tree/tree.ts";

interface Common {
  readonly architecture: Architecture;
  readonly loader: OsFile;
  /** systemd's, when the boot loader tells. */
  readonly loaderVersion: number | undefined;
  readonly osRelease: OsRelease;
  /** SHA-256 over kernel and initramfs, lower-case hex: deployments with the same one can share them. */
  readonly bootDigest: string;
  /** Enrolment variables of the image by their path below `loader/keys`. */
  readonly keys: ReadonlyMap<string, Content>;
  readonly warnings: readonly OsProblem[];
}

export interface UkiParts extends Common {
  readonly type: "uki";
  readonly uki: BootFile;
  readonly argument: ComposefsArgument;
  /** Addons of the image that were asked for, by file name. */
  readonly addons: ReadonlyMap<string, Content>;
}

export interface KernelParts extends Common {
  readonly type: "bls";
  readonly vmlinuz: BootFile;
  readonly initramfs: OsFile;
  /** Of the image's kargs.d. */
  readonly kernelArguments: readonly string[];
}

export type BootParts = UkiParts | KernelParts;

/**
 * @param addonNames addons of the image, without `.addon.efi`
 * @throws {PolicyError} `kernel.*`, `uki.several`, `image.boot-entry-present`, `image.systemd-boot-missing`,
 *   `image.os-release-missing`, and those of `requireDigestArguments`
 * @throws {NotFoundError} `disk.addon-not-found`
 * @throws {UnsupportedError} `image.architecture-unsupported`
 */
export async function findBootParts(source: ImageTree, addonNames: readonly string[]): Promise<BootParts> {
  const { tree } = source;
  const architecture = requireArchitecture(source);
  const { files, problems } = findBootFiles(tree);
  refuseFirst(problems);
  const [first] = files;
  if (first === undefined) {
    throw new PolicyError("kernel.none", `${source.name}: found neither a UKI nor a kernel in /usr/lib/modules`, {
      hint: "install a kernel in the image, or seal it: sealwright seal",
    });
  }
  if (first.kind === "entry") {
    throw new PolicyError(
      "image.boot-entry-present",
      `${first.path}: found a boot loader entry, at which bootc stops`,
      {
        hint: "remove /boot/loader/entries from the image",
      },
    );
  }
  const loaderProblems = checkBootLoader(tree, architecture).filter(({ code }) => code !== "image.stub-missing");
  refuseFirst(loaderProblems.filter(({ code }) => code === "image.systemd-boot-missing"));
  const { systemdBoot, systemdBootSigned } = findBootLoader(tree, architecture);
  const loader = (systemdBootSigned ?? systemdBoot) as OsFile;
  const common = {
    architecture,
    loader,
    loaderVersion: readLoaderVersion(await readFile(source, loader)),
    keys: findKeys(tree),
    warnings: loaderProblems.filter(({ code }) => code === "image.bootupd-present"),
  };
  return first.kind === "vmlinuz"
    ? { ...common, ...(await readKernel(source, files, architecture)) }
    : { ...common, ...(await readUki(source, files, addonNames)) };
}

function requireArchitecture({ image, name }: ImageTree): Architecture {
  const found = findArchitecture(image.config.architecture);
  if (found !== undefined) return found;
  const known = ARCHITECTURES.map(({ oci }) => oci).join(" and ");
  const message = `${name}: architecture "${image.config.architecture}": disks are built for ${known}`;
  throw new UnsupportedError("image.architecture-unsupported", message);
}

function refuseFirst([problem]: readonly OsProblem[]): void {
  if (problem === undefined) return;
  throw new PolicyError(problem.code, problem.message, problem.hint === undefined ? {} : { hint: problem.hint });
}

async function readFile(source: ImageTree, { content }: OsFile): Promise<Uint8Array> {
  const [bytes] = await source.read([content]);
  return bytes as Uint8Array;
}

/** The version of systemd in the `.sdmagic` of its boot loader: `#### LoaderInfo: systemd-boot 257.13-1 ####`. */
export function readLoaderVersion(bytes: Uint8Array): number | undefined {
  const version = /LoaderInfo: systemd-boot (\d{1,6})/.exec(findMagic(parsePe(bytes)) ?? "")?.[1];
  return version === undefined ? undefined : Number(version);
}

async function readUki(source: ImageTree, files: readonly BootFile[], addonNames: readonly string[]) {
  const [file, ...others] = files.filter(({ kind }) => kind === "uki") as [BootFile?, ...BootFile[]];
  if (file === undefined) throw new PolicyError("uki.missing", `${source.name}: found addons and no UKI`);
  if (others.length > 0) {
    const paths = [file, ...others].map(({ path }) => path);
    throw new PolicyError("uki.several", `found ${paths.length} UKIs (${paths.join(", ")}), expected one`, {
      data: { paths },
    });
  }
  const uki = parseUki(await readFile(source, file));
  const [linux, initrd] = [requireSection(uki, ".linux", file), requireSection(uki, ".initrd", file)];
  const [argument, second] = requireDigestArguments(findText(uki, ".cmdline") ?? "", { allowMissingVerity: true });
  if (argument.algorithm !== "sha512" || second !== undefined) {
    throw new UnsupportedError("disk.digest-format", `${file.path}: disks are built for one SHA-512 digest`, {
      hint: "seal with the default format, v1-sha512",
    });
  }
  return {
    type: "uki" as const,
    uki: file,
    argument,
    addons: findAddons(files, addonNames),
    osRelease: parseOsRelease(requireSection(uki, ".osrel", file)),
    bootDigest: createHash("sha256").update(linux).update(initrd).digest("hex"),
  };
}

function requireSection(uki: ReturnType<typeof parseUki>, name: string, { path }: BootFile): Uint8Array {
  const content = findSection(uki, name);
  if (content !== undefined) return content;
  throw new FormatError("uki.section.missing", { what: `${path}: sections`, expected: name, found: `no ${name}` });
}

function findAddons(files: readonly BootFile[], names: readonly string[]): Map<string, Content> {
  const addons = files.filter(({ kind }) => kind === "uki-addon" || kind === "global-addon");
  return new Map(
    names.map((name) => {
      const fileName = `${name}.addon.efi`;
      const found = addons.find(({ path }) => basename(path) === fileName);
      if (found !== undefined) return [fileName, found.content] as const;
      const known = addons.map(({ path }) => basename(path).slice(0, -".addon.efi".length)).join(", ");
      throw new NotFoundError("disk.addon-not-found", `addon "${name}": the image has ${known || "none"}`, {
        hint: "name an addon of the image, or a file that ends in .addon.efi",
      });
    }),
  );
}

async function readKernel(source: ImageTree, files: readonly BootFile[], architecture: Architecture) {
  const [vmlinuz, ...others] = files.filter(({ kind }) => kind === "vmlinuz") as [BootFile, ...BootFile[]];
  if (others.length > 0) {
    const versions = [vmlinuz, ...others].map(({ version }) => version).join(", ");
    throw new PolicyError("kernel.several", `found ${others.length + 1} kernels (${versions}), expected one`, {
      hint: "remove the vmlinuz of all but one",
    });
  }
  const path = `${vmlinuz.path.slice(0, -vmlinuz.name.length)}initramfs.img`;
  const node = lookup(source.tree, path);
  if (node?.kind !== "file") throw new PolicyError("kernel.initramfs-missing", `${path}: found no initramfs`);
  const release = findOsRelease(source.tree);
  if (release === undefined) {
    throw new PolicyError(
      "image.os-release-missing",
      "/usr/lib/os-release: found nothing, expected a name for the menu",
    );
  }
  const initramfs: OsFile = { path, content: node.content };
  const kargs = listKargsFiles(source.tree);
  const [osRelease, linux, initrd, ...tomls] = (await source.read(
    [release, vmlinuz, initramfs, ...kargs].map(({ content }) => content),
  )) as [Uint8Array, Uint8Array, Uint8Array, ...Uint8Array[]];
  return {
    type: "bls" as const,
    vmlinuz,
    initramfs,
    kernelArguments: tomls.flatMap((toml, index) =>
      parseKargsToml(toml, architecture.kernel as "x86_64" | "aarch64", (kargs[index] as OsFile).path),
    ),
    osRelease: parseOsRelease(osRelease),
    bootDigest: createHash("sha256").update(linux).update(initrd).digest("hex"),
  };
}

/** What the image wants systemd-boot to offer for enrolment (bootc specification, section 1.9). */
function findKeys(tree: Tree): Map<string, Content> {
  const root = lookup(tree, "/usr/lib/bootc/install/secureboot-keys");
  if (root?.kind !== "directory") return new Map();
  return new Map(
    sortedEntries(root).flatMap(([set, node]) => {
      if (node.kind !== "directory") return [];
      return sortedEntries(node).flatMap(([name, file]) =>
        file.kind === "file" && name.endsWith(".auth") ? [[`${set}/${name}`, file.content] as const] : [],
      );
    }),
  );
}
