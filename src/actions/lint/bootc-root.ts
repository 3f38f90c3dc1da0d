/** bootc's lints of how a root is laid out. Names, levels and conditions are bootc's; the sentences are ours. */
import { isUtf8 } from "node:buffer";
import { parseKargsToml } from "../../formats/uki/index.ts";
import { type ByteString, byteStringToBytes, showByteString } from "../../lib/bytes/byte-string.ts";
import { listKargsFiles } from "../../model/os/index.ts";
import { lookup, type Tree, type TreeNode } from "../../model/tree/tree.ts";
import type { LintContext } from "./context.ts";
import { type Finding, findingOf, type Lint } from "./lint.ts";
import { type NamedNode, walk } from "./walk.ts";

/** systemd's API file systems, and /var. */
const API_DIRECTORIES = ["dev", "proc", "sys", "run", "tmp", "var"] as const;

/** A copy of what base images have, for reference; it is checked like the root. */
const BASE_IMAGE_COPY = "/usr/share/doc/bootc/baseimage/base";

export const ROOT_LINTS: readonly Lint[] = [
  {
    name: "api-base-directories",
    level: "fatal",
    description: "The mount points of systemd's API file systems, and /var, must be directories.",
    check: ({ tree }) => checkApiDirectories(tree),
  },
  {
    name: "baseimage-composefs",
    level: "warning",
    description: "prepare-root.conf should enable composefs.",
    check: checkComposefsEnabled,
  },
  {
    name: "baseimage-root",
    level: "fatal",
    description: "/sysroot must be a directory, and /ostree a link to sysroot/ostree.",
    check: ({ tree }) =>
      roots(tree)
        .map((root) => checkBaseRoot(tree, root))
        .find(Boolean),
  },
  {
    name: "bootc-kargs",
    level: "fatal",
    description: "Files in /usr/lib/bootc/kargs.d must be well-formed.",
    check: checkKargs,
  },
  {
    name: "etc-usretc",
    level: "fatal",
    description: "An image has /etc; /usr/etc beside it is for bootc to make.",
    check: ({ tree }) =>
      lookup(tree, "/etc") !== undefined && lookup(tree, "/usr/etc") !== undefined
        ? { code: "lint.root.usr-etc", message: "found /usr/etc beside /etc, expected /etc only", paths: ["/usr/etc"] }
        : undefined,
  },
  {
    name: "kernel",
    level: "fatal",
    description: "At most one directory of /usr/lib/modules may hold a kernel.",
    check: ({ tree }) => checkKernels(tree),
  },
  {
    name: "utf8",
    level: "fatal",
    description: "File names and link targets must be UTF-8, which is all that bootc's ostree backend takes.",
    recursive: true,
    check: ({ tree }) => checkUtf8(tree),
  },
];

function checkApiDirectories(tree: Tree): Finding | undefined {
  for (const name of API_DIRECTORIES) {
    const node = lookup(tree, name);
    if (node?.kind === "directory") continue;
    const found = node === undefined ? "nothing" : `a ${node.kind}`;
    const paths = [`/${name}`];
    return { code: "lint.root.api-directory", message: `/${name}: found ${found}, expected a directory`, paths };
  }
  return undefined;
}

/** The root, and the copy for reference where there is one. */
function roots(tree: Tree): string[] {
  return ["", ...(lookup(tree, BASE_IMAGE_COPY)?.kind === "directory" ? [BASE_IMAGE_COPY] : [])];
}

function checkBaseRoot(tree: Tree, root: string): Finding | undefined {
  const sysroot = lookup(tree, `${root}/sysroot`);
  if (sysroot?.kind !== "directory") {
    const message = `${root}/sysroot: found ${sysroot === undefined ? "nothing" : `a ${sysroot.kind}`}, expected a directory`;
    return { code: "lint.root.sysroot", message, paths: [`${root}/sysroot`] };
  }
  const ostree = lookup(tree, `${root}/ostree`);
  if (ostree?.kind === "symlink" && ostree.target === "sysroot/ostree") return undefined;
  const found = describeLink(ostree);
  const message = `${root}/ostree: found ${found}, expected a link to sysroot/ostree`;
  return { code: "lint.root.ostree-link", message, paths: [`${root}/ostree`] };
}

function describeLink(node: TreeNode | undefined): string {
  if (node === undefined) return "nothing";
  return node.kind === "symlink" ? `a link to ${showByteString(node.target)}` : `a ${node.kind}`;
}

const PREPARE_ROOT = ["etc/ostree/prepare-root.conf", "usr/lib/ostree/prepare-root.conf"] as const;

/** Values of `[composefs] enabled` with which ostree may use composefs. */
const ENABLED = new Set(["yes", "true", "1", "maybe", "verity", "signed"]);

async function checkComposefsEnabled(context: LintContext): Promise<Finding | undefined> {
  for (const root of roots(context.tree)) {
    const path = PREPARE_ROOT.map((name) => `${root}/${name}`).find((name) => lookup(context.tree, name) !== undefined);
    if (path === undefined) {
      const expected = `${root}/${PREPARE_ROOT[1]}`;
      const message = `${expected}: found nothing, expected a file that enables composefs`;
      return { code: "lint.prepare-root.missing", message, paths: [expected] };
    }
    const node = lookup(context.tree, path);
    const text = node?.kind === "file" ? await context.readText({ path, content: node.content }) : "";
    const values = parseKeyFile(text);
    if (ENABLED.has(values.get("composefs.enabled") ?? "") || values.get("root.transient") === "true") continue;
    const message = `${path}: found no "enabled = true" in [composefs], expected it`;
    return { code: "lint.prepare-root.composefs-disabled", message, paths: [path] };
  }
  return undefined;
}

/** `group.key` to value, of GLib's key files. */
function parseKeyFile(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let group = "";
  for (const line of text.split("\n").map((each) => each.trim())) {
    const header = /^\[(.+)\]$/.exec(line)?.[1];
    if (header !== undefined) group = header;
    const [, key, value] = /^([^#=][^=]*?)\s*=\s*(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) values.set(`${group}.${key}`, value);
  }
  return values;
}

async function checkKargs(context: LintContext): Promise<undefined> {
  for (const file of listKargsFiles(context.tree)) parseKargsToml(await context.read(file), "", file.path);
  return undefined;
}

function checkKernels(tree: Tree): Finding | undefined {
  const modules = lookup(tree, "/usr/lib/modules");
  const entries = modules?.kind === "directory" ? [...modules.entries] : [];
  const kernels = entries
    .filter(([, node]) => node.kind === "directory" && node.entries.has("vmlinuz" as ByteString))
    .map(([name]) => `/usr/lib/modules/${showByteString(name)}`)
    .sort();
  if (kernels.length < 2) return undefined;
  return { code: "kernel.several", message: `found ${kernels.length} kernels, expected one`, paths: kernels };
}

const isUtf8Name = (name: ByteString): boolean => isUtf8(byteStringToBytes(name));

const isForeign = ({ name, node }: NamedNode): boolean =>
  !isUtf8Name(name) || (node.kind === "symlink" && !isUtf8Name(node.target));

function checkUtf8(tree: Tree): Finding | undefined {
  const paths = [...walk(tree)].filter(isForeign).map(({ path }) => path);
  return findingOf("lint.root.utf8", "found names or link targets that are not UTF-8", paths);
}
