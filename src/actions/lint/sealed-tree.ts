/** Lints of what makes tools compute different digests for one image. */
import { showByteString } from "../../lib/bytes/byte-string.ts";
import type { LintContext } from "./context.ts";
import { findingOf, type Lint } from "./lint.ts";
import { type NamedNode, walk } from "./walk.ts";

export const TREE_LINTS: readonly Lint[] = [
  {
    name: "layer-parents",
    level: "fatal",
    description:
      "Every layer must declare the directories of its entries, or one below it: composefs-rs refuses others.",
    check: ({ settings }) =>
      findingOf(
        "tree.parent-missing",
        "found directories that no layer declares before it has entries in them",
        settings.undeclaredParents.map(({ layer, path }) => `${path} (layer ${layer})`),
      ),
  },
  {
    name: "mtime-future",
    level: "warning",
    description: "Modification times should not be later than now: such images are not reproducible.",
    recursive: true,
    check: (context) => {
      const now = BigInt(Math.floor(context.settings.now.getTime() / 1000));
      const paths = inDigest(context, ({ node }) => node.meta.mtimeSec > now);
      return findingOf("tree.mtime.future", "found times later than now", paths);
    },
  },
  {
    name: "mtime-subsecond",
    level: "warning",
    description: "Modification times should be whole seconds: tools that cut them off compute another digest.",
    recursive: true,
    check: (context) => {
      const paths = inDigest(context, ({ node }) => node.meta.mtimeNsec !== 0);
      return findingOf("tree.mtime.subsecond", "found times with fractions of a second", paths);
    },
  },
  {
    name: "xattrs-foreign",
    level: "warning",
    description: "Of extended attributes only security.capability is part of every tool's digest.",
    recursive: true,
    check: (context) => {
      const paths = inDigest(
        context,
        (entry) => foreign(entry).length > 0,
        (entry) => `${entry.path} (${foreign(entry).map(showByteString).join(", ")})`,
      );
      return findingOf("tree.xattr.foreign", "found extended attributes that some tools drop and some keep", paths);
    },
  },
];

const foreign = ({ node }: NamedNode) => [...node.meta.xattrs.keys()].filter((name) => name !== "security.capability");

/** Directories whose content the digest leaves out. */
const EMPTIED = new Set(["/boot", "/run", "/sysroot"]);

/** Paths of the nodes that are part of the digest and have a property, a hard link once for each of its names. */
function inDigest(
  { tree }: LintContext,
  has: (entry: NamedNode) => boolean,
  show: (entry: NamedNode) => string = ({ path }) => path,
): string[] {
  const found: string[] = [];
  for (const entry of walk(tree, "", ({ path }) => !EMPTIED.has(path))) if (has(entry)) found.push(show(entry));
  return found;
}
