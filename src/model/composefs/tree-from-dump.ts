import { type DumpNode, type ParseDumpfileOptions, parseDumpfile } from "../../formats/dumpfile/index.ts";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import type { Tree } from "../tree/tree.ts";
import { type Directory, emptyDirectory, isWhiteout, type Leaf, type Metadata, type TreeNode } from "../tree/tree.ts";

/**
 * Builds a tree from a dump, by the rules of composefs-rs.
 *
 * NLINK is not looked at: names are counted.
 *
 * @throws {FormatError} `dumpfile.*`
 */
export function treeFromDump(bytes: Uint8Array, options: ParseDumpfileOptions = {}): Tree {
  const dump = parseDumpfile(bytes, options);
  const tree = new TreeBuilder();
  for (const entry of dump.entries) {
    const place = tree.place(entry.path);
    if (entry.kind === "hardlink") {
      tree.put(entry.path, place, tree.linkTarget(entry.path, entry.target));
      continue;
    }
    const { node, meta } = entry;
    if (node.kind === "directory") tree.putDirectory(entry.path, place, meta);
    else tree.put(entry.path, place, toLeaf(node, meta, dump.algorithm));
  }
  return tree.finish();
}

interface Place {
  readonly parent: Directory;
  readonly name: ByteString;
}

class TreeBuilder {
  #root: Directory | undefined;
  readonly #directories = new Map<string, Directory>();
  /** The directory of the line before: most lines stay in it. */
  #lastPath: string | undefined;
  #last: Directory | undefined;

  /** @returns undefined for the root */
  place(path: ByteString): Place | undefined {
    if (this.#root === undefined) {
      if (path !== "/") throw refuse("dumpfile.root.not-first", "first line", "/", path);
      return undefined;
    }
    if (path === "/") throw refuse("dumpfile.path.duplicate", "path", "each path once", path);
    const slash = path.lastIndexOf("/");
    return { parent: this.#directory(path.slice(0, slash), path), name: path.slice(slash + 1) as ByteString };
  }

  put(path: ByteString, place: Place | undefined, node: TreeNode): void {
    if (place === undefined) throw refuse("dumpfile.root.not-directory", "first line", "a directory", path);
    const { parent, name } = place;
    const before = parent.entries.size;
    parent.entries.set(name, node);
    if (parent.entries.size === before) throw refuse("dumpfile.path.duplicate", "path", "each path once", path);
  }

  putDirectory(path: ByteString, place: Place | undefined, meta: Metadata): void {
    const directory = emptyDirectory(meta);
    if (place === undefined) this.#root = directory;
    else this.put(path, place, directory);
    const key = place === undefined ? "" : path;
    this.#directories.set(key, directory);
    this.#lastPath = key;
    this.#last = directory;
  }

  linkTarget(path: ByteString, target: ByteString): Leaf {
    const slash = target.lastIndexOf("/");
    const parent = this.#directories.get(target.slice(0, slash));
    const found = parent?.entries.get(target.slice(slash + 1) as ByteString);
    const at = `hard link ${show(path)}`;
    if (found === undefined)
      throw refuse("dumpfile.hardlink.target-missing", at, "an earlier line for its target", target);
    if (found.kind === "directory")
      throw refuse("dumpfile.hardlink.directory", at, "a target that is no directory", target);
    if (isWhiteout(found)) throw refuse("dumpfile.whiteout.hard-linked", at, "a target that is no whiteout", target);
    return found;
  }

  finish(): Tree {
    if (this.#root === undefined) {
      throw new FormatError("dumpfile.empty", { what: "dumpfile", expected: "a line for /", found: "no line" });
    }
    return { root: this.#root };
  }

  #directory(key: string, path: ByteString): Directory {
    if (key === this.#lastPath && this.#last !== undefined) return this.#last;
    const found = this.#directories.get(key);
    if (found === undefined) {
      throw refuse("dumpfile.path.no-parent", "path", "an earlier line for its directory", path);
    }
    this.#lastPath = key;
    this.#last = found;
    return found;
  }
}

function toLeaf(
  node: Exclude<DumpNode, { kind: "directory" }>,
  meta: Metadata,
  algorithm: VerityAlgorithm | undefined,
): Leaf {
  switch (node.kind) {
    case "inline":
    case "unverified":
    case "sparse":
      return { kind: "file", content: node, meta };
    case "external": {
      const digests = algorithm === undefined ? {} : { [algorithm]: node.digest };
      return { kind: "file", content: { kind: "external", size: node.size, digests }, meta };
    }
    case "symlink":
      return { kind: "symlink", target: node.target, meta };
    case "char":
    case "block":
      return { kind: node.kind, rdev: node.rdev, meta };
    case "fifo":
    case "socket":
      return { kind: node.kind, meta };
    default:
      return node satisfies never;
  }
}

const show = (path: ByteString): string => quote(showByteString(path));

function refuse(code: string, what: string, expected: string, path: ByteString): FormatError {
  return new FormatError(
    code,
    { what: `dumpfile: ${what}`, expected, found: show(path) },
    { data: { path: show(path) } },
  );
}
