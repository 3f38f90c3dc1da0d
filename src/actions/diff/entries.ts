/** How changes of entries are told: facts of both sides, and who has more rights than before. */

import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { showByteString } from "../../lib/bytes/byte-string.ts";
import type { TreeNode } from "../../model/tree/tree.ts";
import { CAPABILITY_XATTR, parseCapabilities } from "./capabilities.ts";
import type { Aspect, NodeChange } from "./compare-trees.ts";
import { objectOf, sizeOf } from "./content.ts";
import type { LeafNames } from "./leaf-names.ts";
import type { Change, EntryFacts, FileChange, FilesReport, PrivilegeChange, Privileges } from "./report.ts";

export interface EntryContext {
  readonly algorithm: VerityAlgorithm;
  readonly namesBefore: LeafNames;
  readonly namesAfter: LeafNames;
  /** List the entries of which only the time differs. */
  readonly times: boolean;
}

export function reportFiles(changes: readonly NodeChange[], context: EntryContext): FilesReport {
  const counts = { added: 0, removed: 0, changed: 0, timesOnly: 0 };
  const aspects: Partial<Record<Aspect, number>> = {};
  const listed: FileChange[] = [];
  for (const node of changes) {
    const timesOnly = isTimesOnly(node);
    counts[timesOnly ? "timesOnly" : changeOf(node)] += 1;
    for (const aspect of node.aspects) aspects[aspect] = (aspects[aspect] ?? 0) + 1;
    if (!timesOnly || context.times) listed.push(toFileChange(node, context));
  }
  return { ...counts, aspects, changes: listed };
}

export const changeOf = ({ after, before }: NodeChange): Change =>
  before === undefined ? "added" : after === undefined ? "removed" : "changed";

export const isTimesOnly = ({ aspects }: NodeChange): boolean => aspects.length === 1 && aspects[0] === "mtime";

function toFileChange(node: NodeChange, { algorithm, namesAfter, namesBefore }: EntryContext): FileChange {
  const { after, aspects, before, path } = node;
  return {
    path,
    change: changeOf(node),
    aspects,
    ...(before === undefined ? {} : { before: factsOf(before, algorithm, namesBefore) }),
    ...(after === undefined ? {} : { after: factsOf(after, algorithm, namesAfter) }),
  };
}

function factsOf(node: TreeNode, algorithm: VerityAlgorithm, leafNames: LeafNames): EntryFacts {
  const { gid, mtimeNsec, mtimeSec, uid, xattrs } = node.meta;
  const names = node.kind === "directory" ? undefined : leafNames.get(node);
  return {
    kind: node.kind,
    mode: showMode(node),
    uid,
    gid,
    mtime: `${mtimeSec}.${String(mtimeNsec).padStart(9, "0")}`,
    ...(node.kind === "file" ? { size: sizeOf(node.content), object: objectOf(node.content, algorithm) } : {}),
    ...(node.kind === "symlink" ? { target: showByteString(node.target) } : {}),
    ...("rdev" in node ? { device: `${majorOf(node.rdev)}:${minorOf(node.rdev)}` } : {}),
    ...(xattrs.size === 0 ? {} : { xattrs: showXattrs(node) }),
    ...(names === undefined ? {} : { names }),
  };
}

const showMode = ({ meta }: TreeNode): string => meta.mode.toString(8).padStart(4, "0");

/** Linux user-space encoding, see `makeDevice`. */
const majorOf = (rdev: number): number => (rdev >>> 8) & 0xfff;
const minorOf = (rdev: number): number => (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);

function showXattrs({ meta }: TreeNode): Record<string, string> {
  const shown = [...meta.xattrs].map(([name, value]) => {
    const text = name === CAPABILITY_XATTR ? parseCapabilities(value).text : showByteString(value);
    return [showByteString(name), text] as const;
  });
  return Object.fromEntries(shown.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const SETUID = 0o4000;
const SETGID = 0o2000;

/** Changes of entries that have set-id bits or capabilities on either side; directories give no rights to programs. */
export function reportPrivileges(changes: readonly NodeChange[]): PrivilegeChange[] {
  return changes.flatMap((node) => {
    if (isTimesOnly(node)) return [];
    const [before, after] = [privilegesOf(node.before), privilegesOf(node.after)];
    if (!before.some && !after.some) return [];
    return [
      {
        path: node.path,
        change: changeOf(node),
        ...(before.facts && { before: before.facts }),
        ...(after.facts && { after: after.facts }),
        contentChanged: node.aspects.includes("content"),
      },
    ];
  });
}

function privilegesOf(node: TreeNode | undefined): { readonly some: boolean; readonly facts?: Privileges } {
  if (node?.kind !== "file") return { some: false };
  const { gid, mode, uid, xattrs } = node.meta;
  const value = xattrs.get(CAPABILITY_XATTR);
  const [setuid, setgid] = [(mode & SETUID) !== 0, (mode & SETGID) !== 0];
  return {
    some: setuid || setgid || value !== undefined,
    facts: {
      setuid,
      setgid,
      mode: showMode(node),
      uid,
      gid,
      ...(value === undefined ? {} : { capabilities: parseCapabilities(value) }),
    },
  };
}
