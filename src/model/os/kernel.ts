import type { ByteString } from "../../lib/bytes/byte-string.ts";
import type { Directory, Tree } from "../tree/tree.ts";
import { fileIn, listEntries, type NamedNode, notFile, type OsFile } from "./files.ts";
import { MODULE_DIRECTORY, UKI_DIRECTORY } from "./places.ts";
import type { OsProblem } from "./problem.ts";

export interface UkiKernel {
  readonly unified: true;
  /** File name without `.efi`. */
  readonly version: string;
  readonly uki: OsFile;
}

export interface RawKernel {
  readonly unified: false;
  /** Name of the directory below /usr/lib/modules. */
  readonly version: string;
  readonly vmlinuz: OsFile;
  readonly initramfs?: OsFile;
}

export interface KernelSearch {
  readonly kernel?: UkiKernel | RawKernel;
  readonly problems: readonly OsProblem[];
}

/**
 * The kernel that a seal is built from and that people are told of: the first UKI in /boot/EFI/Linux, else the only
 * directory of /usr/lib/modules that has a `vmlinuz`. An installer looks again in its own way: `findBootFiles`.
 *
 * Problems: `kernel.none`, `kernel.several`, `kernel.initramfs-missing`, `kernel.not-file`, `uki.several`.
 *
 * @see bootc specification, section 1.3
 */
export function findKernel(tree: Tree): KernelSearch {
  const ukis = listEntries(tree, UKI_DIRECTORY).filter(({ path }) => path.endsWith(".efi"));
  const [first] = ukis;
  return first === undefined ? findRawKernel(tree) : chooseUki(first, ukis);
}

function chooseUki(first: NamedNode, ukis: readonly NamedNode[]): KernelSearch {
  const { name, path, node } = first;
  const several: OsProblem[] =
    ukis.length === 1
      ? []
      : [
          {
            code: "uki.several",
            message: `${UKI_DIRECTORY}: found ${ukis.length} UKIs, expected one; the first by name is ${name}`,
            path: UKI_DIRECTORY,
            hint: "leave one UKI in the image; a host boots the first",
          },
        ];
  if (node.kind !== "file") return { problems: [notFile(path, node), ...several] };
  const version = name.slice(0, -".efi".length);
  return { kernel: { unified: true, version, uki: { path, content: node.content } }, problems: several };
}

function findRawKernel(tree: Tree): KernelSearch {
  const candidates = listEntries(tree, MODULE_DIRECTORY).flatMap(({ name, path, node }) =>
    node.kind === "directory" && node.entries.has(VMLINUZ) ? [{ version: name, path, directory: node }] : [],
  );
  const [found] = candidates;
  if (found === undefined) return { problems: [noKernel(tree)] };
  return candidates.length === 1 ? rawKernelIn(found) : { problems: [severalKernels(candidates)] };
}

const VMLINUZ = "vmlinuz" as ByteString;
const INITRAMFS = "initramfs.img" as ByteString;

interface Candidate {
  readonly version: string;
  readonly path: string;
  readonly directory: Directory;
}

function rawKernelIn({ version, path, directory }: Candidate): KernelSearch {
  const vmlinuz = fileIn(directory, path, VMLINUZ);
  if (vmlinuz === undefined) return { problems: [notFile(`${path}/vmlinuz`)] };
  const initramfs = fileIn(directory, path, INITRAMFS);
  const kernel = { unified: false, version, vmlinuz } as const;
  if (initramfs !== undefined) return { kernel: { ...kernel, initramfs }, problems: [] };
  return { kernel, problems: [noInitramfs(path)] };
}

function severalKernels(candidates: readonly Candidate[]): OsProblem {
  const versions = candidates.map(({ version }) => version).join(", ");
  return {
    code: "kernel.several",
    message: `${MODULE_DIRECTORY}: found ${candidates.length} kernels (${versions}), expected one`,
    path: MODULE_DIRECTORY,
    hint: "remove the vmlinuz of all but one",
  };
}

function noKernel(tree: Tree): OsProblem {
  const elsewhere = listEntries(tree, "/boot").find(({ name }) => /^vmlinu[xz]/.test(name));
  const hint =
    elsewhere === undefined
      ? "install a kernel package in the image"
      : `move ${elsewhere.path} to ${MODULE_DIRECTORY}/VERSION/vmlinuz, and its initrd beside it as initramfs.img`;
  const message = `${MODULE_DIRECTORY}: found no directory with a vmlinuz, expected one`;
  return { code: "kernel.none", message, path: MODULE_DIRECTORY, hint };
}

function noInitramfs(directory: string): OsProblem {
  const path = `${directory}/initramfs.img`;
  const hint = "build the initrd in the image: dracut or update-initramfs, then copy it there";
  return { code: "kernel.initramfs-missing", message: `${path}: found nothing, expected the initrd`, path, hint };
}
