import {
  type FileType,
  POLICY_FILES,
  type PolicyFiles,
  parsePolicyName,
  SelinuxPolicy,
} from "../../formats/selinux/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { type Content, type Directory, type Leaf, sortedEntries, type Tree, type TreeNode } from "./tree.ts";
import { nodesOf } from "./walk.ts";

/** Content whose bytes are not in the tree. */
export type StoredContent = Extract<Content, { kind: "external" | "unverified" }>;

/** Reads the bytes of one file; `path` is absolute, for messages. */
export type ReadContent = (content: StoredContent, path: string) => Promise<Uint8Array>;

/** Policies that were parsed and labels that were asked for: for whoever labels several variants of one tree. */
export class LabelCache {
  readonly #known: { readonly files: readonly Content[]; readonly policy: LabelSource }[] = [];

  /** @param files that make the policy; the same objects are the same policy */
  find(files: readonly Content[]): LabelSource | undefined {
    return this.#known.find(
      (one) => one.files.length === files.length && one.files.every((file, at) => file === files[at]),
    )?.policy;
  }

  remember(files: readonly Content[], policy: SelinuxPolicy): LabelSource {
    const labels = new Map<string, ByteString | undefined>();
    const remembering: LabelSource = {
      effectivePath: (directory, name) => policy.effectivePath(directory, name),
      label(path, type) {
        const key = `${type}${path}`;
        const known = labels.get(key);
        if (known !== undefined || labels.has(key)) return known;
        const label = policy.label(path, type);
        labels.set(key, label);
        return label;
      },
    };
    this.#known.push({ files, policy: remembering });
    return remembering;
  }
}

type LabelSource = Pick<SelinuxPolicy, "effectivePath" | "label">;

/** What labelling did. */
export interface Labelling {
  /** Name of the policy; absent when the tree has none and labels were removed. */
  readonly policy?: string;
  /** Names that lost their hard link because their label is another. */
  readonly splitLinks: number;
}

export const SELINUX_XATTR = byteString("security.selinux");

/** Largest policy file. A safety limit; the largest known is 0.6 MB. */
const MAX_POLICY_FILE = 2 << 20;

/**
 * Labels every node by the SELinux policy in the tree, or removes all labels when there is none.
 *
 * Changes `tree` itself. A leaf gets the label of its first name, depth first in byte order of names; a later name
 * with another label gets a leaf of its own.
 *
 * @throws {FormatError} `selinux.directory.not-directory`, `selinux.policy.missing`, `selinux.policy.name`,
 *   `selinux.file.not-file`, `selinux.file.too-large`, and those of the policy's parser
 * @throws {UnsupportedError} `selinux.pattern.unsupported`, `selinux.policy.too-large`, `selinux.policy.too-costly`
 * @see composefs specification, section 5.2
 */
export async function labelTree(tree: Tree, read: ReadContent, cache?: LabelCache): Promise<Labelling> {
  const found = await loadPolicy(tree, read, cache);
  if (found === undefined) {
    for (const node of nodesOf(tree.root)) setLabel(node, undefined);
    return { splitLinks: 0 };
  }
  return { policy: found.name, splitLinks: applyPolicy(tree, found.policy) };
}

/** The tree's policy, by the rules for a policy that is read from the tree: no symbolic link on the way. */
async function loadPolicy(
  tree: Tree,
  read: ReadContent,
  cache: LabelCache | undefined,
): Promise<{ readonly name: string; readonly policy: LabelSource } | undefined> {
  const selinux = findDirectory(tree.root, ["etc", "selinux"], "");
  if (selinux === undefined) return undefined;
  const config = findPolicyFile(selinux, "config", "/etc/selinux");
  const name = config && parsePolicyName(await readPolicyFile(config, read), "/etc/selinux/config");
  if (name === undefined) return undefined;

  const path = [...policyComponents(name), "contexts", "files"];
  const files = findDirectory(selinux, path, "/etc/selinux");
  const where = `/etc/selinux/${path.join("/")}`;
  if (files === undefined) throw missing(where, "a directory, since /etc/selinux/config names this policy");

  const found = POLICY_FILES.flatMap(({ name, key }) => {
    const file = findPolicyFile(files, name, where);
    return file === undefined ? [] : [{ ...file, key }];
  });
  const known = cache?.find(found.map(({ content }) => content));
  if (known !== undefined) return { name, policy: known };

  const contents: { -readonly [K in keyof PolicyFiles]?: PolicyFiles[K] } = {};
  for (const file of found) contents[file.key] = await readPolicyFile(file, read);
  const { main } = contents;
  if (main === undefined)
    throw missing(`${where}/file_contexts`, "a file, since /etc/selinux/config names this policy");
  const policy = SelinuxPolicy.parse({ ...contents, main });
  const remembered = cache?.remember(
    found.map(({ content }) => content),
    policy,
  );
  return { name, policy: remembered ?? policy };
}

/** The name may have several components; none may lead elsewhere. */
function policyComponents(name: string): string[] {
  const parts = byteString(name).split("/");
  if (!parts.includes("..") && !parts.includes(".")) return parts.filter((part) => part !== "");
  const mismatch = { what: "/etc/selinux/config: SELINUXTYPE", expected: "the name of a policy", found: quote(name) };
  throw new FormatError("selinux.policy.name", mismatch);
}

function missing(what: string, expected: string): FormatError {
  return new FormatError(
    "selinux.policy.missing",
    { what, expected, found: "nothing" },
    { hint: "install the policy in the image, or remove /etc/selinux/config from it" },
  );
}

function findDirectory(from: Directory, path: readonly string[], above: string): Directory | undefined {
  let directory = from;
  let where = above;
  for (const name of path) {
    where += `/${name}`;
    const node = directory.entries.get(name as ByteString);
    if (node === undefined) return undefined;
    if (node.kind !== "directory") {
      const mismatch = { what: where, expected: "a directory", found: `a ${node.kind}` };
      throw new FormatError("selinux.directory.not-directory", mismatch);
    }
    directory = node;
  }
  return directory;
}

interface PolicyFile {
  readonly what: string;
  readonly content: Exclude<Content, { kind: "sparse" }>;
}

/** Absent and sparse files count as absent, everything else that is no file is refused. */
function findPolicyFile(directory: Directory, name: string, where: string): PolicyFile | undefined {
  const what = `${where}/${name}`;
  const node = directory.entries.get(name as ByteString);
  if (node === undefined) return undefined;
  if (node.kind !== "file") {
    throw new FormatError("selinux.file.not-file", { what, expected: "a regular file", found: `a ${node.kind}` });
  }
  const { content } = node;
  return content.kind === "sparse" ? undefined : { what, content };
}

async function readPolicyFile({ content, what }: PolicyFile, read: ReadContent): Promise<Uint8Array> {
  if (content.kind === "inline") return content.bytes;
  if (content.size > MAX_POLICY_FILE) {
    const mismatch = { what, expected: `at most ${MAX_POLICY_FILE} bytes`, found: `${content.size} bytes` };
    throw new FormatError("selinux.file.too-large", mismatch);
  }
  return await read(content, what);
}

const TYPE_OF: Readonly<Record<TreeNode["kind"], FileType>> = {
  file: "-",
  directory: "d",
  symlink: "l",
  fifo: "p",
  socket: "s",
  block: "b",
  char: "c",
};

/** @returns how many names lost their hard link */
function applyPolicy(tree: Tree, policy: LabelSource): number {
  /** Leaves that have their label. A copy has one name and is never met again. */
  const labelled = new Map<Leaf, ByteString | undefined>();
  let splitLinks = 0;

  const labelName = (parent: Directory, name: ByteString, leaf: Leaf, path: ByteString): void => {
    const label = policy.label(path, TYPE_OF[leaf.kind]);
    if (!labelled.has(leaf)) {
      labelled.set(leaf, label);
      setLabel(leaf, label);
    } else if (labelled.get(leaf) !== label) {
      const copy = { ...leaf };
      setLabel(copy, label);
      parent.entries.set(name, copy);
      splitLinks++;
    }
  };

  const labelDirectory = (directory: Directory, path: ByteString): void => {
    setLabel(directory, policy.label(path, "d"));
    for (const [name, node] of sortedEntries(directory)) {
      const child = policy.effectivePath(path, name);
      if (node.kind === "directory") labelDirectory(node, child);
      else labelName(directory, name, node, child);
    }
  };

  labelDirectory(tree.root, "/" as ByteString);
  return splitLinks;
}

function setLabel(node: TreeNode, label: ByteString | undefined): void {
  const { xattrs } = node.meta;
  if (xattrs.get(SELINUX_XATTR) === label) return;
  const changed = new Map(xattrs);
  if (label === undefined) changed.delete(SELINUX_XATTR);
  else changed.set(SELINUX_XATTR, label);
  node.meta = { ...node.meta, xattrs: changed };
}
