/** What tools, and their versions, do differently on the way from an image to its digest. */
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { cloneTree } from "../../model/tree/clone.ts";
import type { TreeHistory } from "../../model/tree/history.ts";
import { type LabelCache, labelTree, type ReadContent, SELINUX_XATTR } from "../../model/tree/label.ts";
import { emptyBootDirectories, toOciTree } from "../../model/tree/transform.ts";
import { type Directory, lookup, type Metadata, type Tree, type TreeNode } from "../../model/tree/tree.ts";
import { directoriesOf, nodesOf } from "../../model/tree/walk.ts";

/** What the options of a search may ask for. */
export interface SearchContext {
  /** Leave out the boot transform unless it is searched for. */
  readonly plain: boolean;
  /** Layers of the image; 0 for what has none. */
  readonly layerCount: number;
  /** The merged tree of the lowest layers. It is shared: nothing changes it. */
  mergeLayers(count: number): { readonly tree: Tree; readonly history?: TreeHistory };
  readonly read: ReadContent;
  readonly labels: LabelCache;
}

/** A tree on its way, and what made it. */
export interface Stage {
  /** Never changed in place. */
  readonly tree: Tree;
  readonly history?: TreeHistory;
  /** The boot transform was applied. */
  readonly booted: boolean;
}

/** `undefined` where the option is impossible, or no other than the default. */
type Outcome = Stage | undefined;

export interface SwitchOption {
  readonly name: string;
  /** What is done to the tree, as a phrase. */
  readonly meaning: string;
  /** Who does it. */
  readonly tools?: string;
  /** Only nanoseconds change: to a V2 digest that is nothing. */
  readonly nanosecondsOnly?: true;
  apply(stage: Stage, context: SearchContext): Outcome | Promise<Outcome>;
}

export interface Switch {
  readonly name: string;
  readonly title: string;
  /** The first that is possible is the default. */
  readonly options: readonly SwitchOption[];
}

/** Layers that are left off at most. A sealed image adds one or two; a build step before that, a few. */
const MAX_LAYERS_OFF = 6;

/** In the order in which they act on a tree. */
export function switchesFor({ layerCount, plain }: SearchContext): readonly Switch[] {
  return [
    layersSwitch(layerCount),
    DIRECTORY_TIMES,
    KERNEL,
    ROOT,
    XATTRS,
    plain ? { ...BOOT, options: BOOT.options.toReversed() } : BOOT,
    LABELS,
    BOOT_NANOSECONDS,
    TIMES,
    SYMLINK_MODES,
    HARD_LINKS,
  ];
}

const keep = (stage: Stage): Stage => stage;

function layersSwitch(count: number): Switch {
  const off = Math.max(0, Math.min(MAX_LAYERS_OFF, count - 1));
  return {
    name: "layers",
    title: "layers that were there when the digest was computed",
    options: [
      { name: "all", meaning: "all layers", apply: keep },
      ...Array.from({ length: off }, (_, index) => ({
        name: `without-top-${index + 1}`,
        meaning: index === 0 ? "the top layer left off" : `the top ${index + 1} layers left off`,
        tools: "a digest computed before the layers above were added",
        apply: (stage: Stage, context: SearchContext) => ({ ...stage, ...context.mergeLayers(count - 1 - index) }),
      })),
    ],
  };
}

const DIRECTORY_TIMES: Switch = {
  name: "directory-times",
  title: "times of directories that several layers declare",
  options: [
    { name: "last", meaning: "that of the last layer that declares a directory", apply: keep },
    {
      name: "first",
      meaning: "that of the first layer that declares a directory",
      tools: "engines that leave directories alone which exist already",
      apply: ({ history, ...stage }) =>
        mapMetadata(stage, (node) => {
          const first = node.kind === "directory" ? history?.directory(node).declared[0]?.meta : undefined;
          return first === undefined ? node.meta : withTime(node.meta, first.mtimeSec, first.mtimeNsec);
        }),
    },
  ],
};

const KERNEL: Switch = {
  name: "kernel",
  title: "vmlinuz and initramfs.img in /usr/lib/modules",
  options: [
    { name: "as-is", meaning: "as in the image", apply: keep },
    { name: "removed", meaning: "removed", tools: "seals that take the kernel out afterwards", apply: removeKernel },
  ],
};

const ROOT: Switch = {
  name: "root",
  title: "the root directory and /run",
  options: [
    {
      name: "from-usr",
      meaning: "root as /usr, /run empty",
      apply: (stage) => changeTree(stage, (tree) => toOciTree(tree, { keepAllXattrs: true })),
    },
    {
      name: "as-is",
      meaning: "root and /run as they are",
      tools: "mkcomposefs; cfsctl with --no-propagate-usr-to-root",
      apply: keep,
    },
  ],
};

const CAPABILITY = byteString("security.capability");

const XATTRS: Switch = {
  name: "xattrs",
  title: "extended attributes that are kept",
  options: [
    {
      name: "capability",
      meaning: "security.capability alone",
      apply: (stage) => filterXattrs(stage, (name) => name === CAPABILITY) ?? stage,
    },
    {
      name: "keep-user",
      meaning: "security.capability and user.*",
      tools: "composefs-rs since July 2026 in its mode keep-user-xattrs; bootc does not use it",
      apply: (stage) =>
        hasXattr(stage.tree, isUser)
          ? (filterXattrs(stage, (name) => name === CAPABILITY || isUser(name)) ?? stage)
          : undefined,
    },
    {
      name: "all",
      meaning: "all of them",
      tools: "composefs-rs until June 2026 when it reads layers, and with it bootc 1.16.3 and older; mkcomposefs",
      apply: (stage) => (hasXattr(stage.tree, (name) => name !== CAPABILITY && !isUser(name)) ? stage : undefined),
    },
  ],
};

const BOOT: Switch = {
  name: "boot",
  title: "the boot transform",
  options: [
    {
      name: "applied",
      meaning: "/boot and /sysroot empty",
      apply: (stage) => changeTree({ ...stage, booted: true }, emptyBootDirectories),
    },
    {
      name: "left-out",
      meaning: "/boot and /sysroot as they are",
      tools: "cfsctl without --bootable, sealwright digest --plain",
      apply: (stage) => ({ ...stage, booted: false }),
    },
  ],
};

const LABELS: Switch = {
  name: "labels",
  title: "SELinux labels",
  options: [
    {
      name: "policy",
      meaning: "by the policy in the tree",
      apply: async (stage, { labels, read }) =>
        stage.booted ? await changeTree(stage, (tree) => labelTree(tree, read, labels)) : stage,
    },
    {
      name: "stripped",
      meaning: "none",
      tools: "tools that do not label",
      apply: (stage) => {
        if (stage.booted) return hasPolicy(stage.tree) ? (stripLabels(stage) ?? stage) : undefined;
        return stripLabels(stage);
      },
    },
    {
      name: "as-is",
      meaning: "as the layers have them",
      apply: (stage) => (stage.booted && hasXattr(stage.tree, isLabel) ? stage : undefined),
    },
  ],
};

const BOOT_NANOSECONDS: Switch = {
  name: "boot-nanoseconds",
  title: "nanoseconds of /boot and /sysroot",
  options: [
    { name: "kept", meaning: "kept", apply: keep },
    {
      name: "from-usr",
      meaning: "those of /usr",
      tools: "composefs-rs since September 2026",
      nanosecondsOnly: true,
      apply: (stage) => setBootNanoseconds(stage, (usr) => usr.mtimeNsec),
    },
    {
      name: "zero",
      meaning: "zero",
      tools: "directories that were unpacked without nanoseconds",
      nanosecondsOnly: true,
      apply: (stage) => setBootNanoseconds(stage, () => 0),
    },
  ],
};

const TIMES: Switch = {
  name: "times",
  title: "times",
  options: [
    { name: "recorded", meaning: "as recorded", apply: keep },
    {
      name: "whole-seconds",
      meaning: "cut to whole seconds",
      tools: "extractors and file systems without nanoseconds",
      nanosecondsOnly: true,
      apply: (stage) => mapMetadata(stage, ({ meta }) => withTime(meta, meta.mtimeSec, 0)),
    },
    {
      name: "epoch",
      meaning: "all zero",
      tools: "mkcomposefs --use-epoch",
      apply: (stage) => mapMetadata(stage, ({ meta }) => withTime(meta, 0n, 0)),
    },
  ],
};

const SYMLINK_MODES: Switch = {
  name: "symlink-modes",
  title: "modes of symbolic links",
  options: [
    { name: "recorded", meaning: "as recorded", apply: keep },
    {
      name: "0777",
      meaning: "0777",
      tools: "whatever reads a directory, as bootc container compute-composefs-digest",
      apply: (stage) =>
        mapMetadata(stage, ({ kind, meta }) =>
          kind === "symlink" && meta.mode !== 0o777 ? { ...meta, mode: 0o777 } : meta,
        ),
    },
  ],
};

const HARD_LINKS: Switch = {
  name: "hard-links",
  title: "hard links",
  options: [
    { name: "kept", meaning: "kept", apply: keep },
    {
      name: "split",
      meaning: "each name a file of its own",
      tools: "mkcomposefs, and copies that do not keep hard links",
      apply: splitLinks,
    },
  ],
};

const isUser = (name: ByteString): boolean => name.startsWith("user.");
const isLabel = (name: ByteString): boolean => name === SELINUX_XATTR;

function hasXattr(tree: Tree, isWanted: (name: ByteString) => boolean): boolean {
  for (const { meta } of nodesOf(tree.root)) {
    for (const name of meta.xattrs.keys()) if (isWanted(name)) return true;
  }
  return false;
}

/** The directory that labelling looks into first; what is wrong further down is refused there. */
const hasPolicy = (tree: Tree): boolean => lookup(tree, "/etc/selinux/config") !== undefined;

function filterXattrs(stage: Stage, keeps: (name: ByteString) => boolean): Outcome {
  return mapMetadata(stage, ({ meta }) => {
    if ([...meta.xattrs.keys()].every(keeps)) return meta;
    return { ...meta, xattrs: new Map([...meta.xattrs].filter(([name]) => keeps(name))) };
  });
}

const stripLabels = (stage: Stage): Outcome => filterXattrs(stage, (name) => !isLabel(name));

function withTime(meta: Metadata, mtimeSec: bigint, mtimeNsec: number): Metadata {
  return meta.mtimeSec === mtimeSec && meta.mtimeNsec === mtimeNsec ? meta : { ...meta, mtimeSec, mtimeNsec };
}

/** A clone where metadata is what `change` says of a node of the original; `undefined` when nothing changes. */
function mapMetadata(stage: Stage, change: (node: TreeNode) => Metadata): Outcome {
  const changed = new Map<TreeNode, Metadata>();
  for (const node of nodesOf(stage.tree.root)) {
    const meta = change(node);
    if (meta !== node.meta) changed.set(node, meta);
  }
  return changed.size === 0 ? undefined : { ...stage, tree: cloneTree(stage.tree, changed) };
}

function changeTree(stage: Stage, change: (tree: Tree) => Promise<unknown>): Promise<Stage>;
function changeTree(stage: Stage, change: (tree: Tree) => void): Stage;
function changeTree(stage: Stage, change: (tree: Tree) => unknown): Stage | Promise<Stage> {
  const tree = cloneTree(stage.tree);
  const done = change(tree);
  const changed = { ...stage, tree };
  return done instanceof Promise ? done.then(() => changed) : changed;
}

function removeKernel(stage: Stage): Outcome {
  const names = ["vmlinuz", "initramfs.img"] as ByteString[];
  const kernels = (tree: Tree): Directory[] => {
    const modules = lookup(tree, "/usr/lib/modules");
    if (modules?.kind !== "directory") return [];
    return [...modules.entries.values()].filter(
      (node): node is Directory => node.kind === "directory" && names.some((name) => node.entries.has(name)),
    );
  };
  if (kernels(stage.tree).length === 0) return undefined;
  return changeTree(stage, (tree) => {
    for (const directory of kernels(tree)) for (const name of names) directory.entries.delete(name);
  });
}

function setBootNanoseconds(stage: Stage, of: (usr: Metadata) => number): Outcome {
  const usr = lookup(stage.tree, "/usr");
  if (!stage.booted || usr === undefined) return undefined;
  const boot = new Set(["/boot", "/sysroot"].map((path) => lookup(stage.tree, path)));
  return mapMetadata(stage, (node) =>
    boot.has(node) ? withTime(node.meta, node.meta.mtimeSec, of(usr.meta)) : node.meta,
  );
}

function splitLinks(stage: Stage): Outcome {
  let names = 0;
  const leaves = new Set<TreeNode>();
  for (const { entries } of directoriesOf(stage.tree.root)) {
    for (const node of entries.values()) {
      if (node.kind === "directory") continue;
      names++;
      leaves.add(node);
    }
  }
  if (names === leaves.size) return undefined;
  return changeTree(stage, (tree) => {
    for (const { entries } of directoriesOf(tree.root)) {
      for (const [name, node] of entries) if (node.kind !== "directory") entries.set(name, { ...node });
    }
  });
}
