import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { type Content, type Directory, lookup, sortedEntries, type Tree, type TreeNode } from "../tree/tree.ts";
import type { OsProblem } from "./problem.ts";

/** A regular file of the tree. Its bytes are read by whoever needs them. */
export interface OsFile {
  /** Absolute, for people: bytes that are no UTF-8 are escaped. */
  readonly path: string;
  readonly content: Content;
}

export interface NamedNode {
  /** For people, as `path` is. */
  readonly name: string;
  readonly path: string;
  readonly node: TreeNode;
}

/** The regular file of that path; no symbolic link is followed. */
export function findFile(tree: Tree, path: string): OsFile | undefined {
  const node = lookup(tree, path);
  return node?.kind === "file" ? { path, content: node.content } : undefined;
}

/** The first of several paths that is a regular file. */
export function findFirstFile(tree: Tree, paths: readonly string[]): OsFile | undefined {
  for (const path of paths) {
    const file = findFile(tree, path);
    if (file !== undefined) return file;
  }
  return undefined;
}

/** @param path of the directory */
export function fileIn(directory: Directory, path: string, name: ByteString): OsFile | undefined {
  const node = directory.entries.get(name);
  return node?.kind === "file" ? { path: joinPath(path, name), content: node.content } : undefined;
}

export const isDirectory = (tree: Tree, path: string): boolean => lookup(tree, path)?.kind === "directory";

/** What is in a directory, in byte order of names; nothing when it is no directory. */
export function listEntries(tree: Tree, path: string): NamedNode[] {
  const directory = lookup(tree, path);
  return directory?.kind === "directory" ? entriesOf(directory, path) : [];
}

/** @param path of the directory */
export function entriesOf(directory: Directory, path: string): NamedNode[] {
  return sortedEntries(directory).map(([name, node]) => ({
    name: showByteString(name),
    path: joinPath(path, name),
    node,
  }));
}

const joinPath = (directory: string, name: ByteString): string => `${directory}/${showByteString(name)}`;

/** The problem of a name that promises a file. */
export function notFile(path: string, node?: TreeNode): OsProblem {
  const found = node === undefined ? "a link or a special file" : `a ${node.kind}`;
  const hint = "copy the file itself there; links are not followed";
  return { code: "kernel.not-file", message: `${path}: found ${found}, expected a regular file`, path, hint };
}
