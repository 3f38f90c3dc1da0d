import { computeFsverityDigest, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type ByteString, byteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import type { Layer } from "../../model/image/image.ts";
import type { TreeHistory } from "../../model/tree/history.ts";
import { SELINUX_XATTR } from "../../model/tree/label.ts";
import {
  type Content,
  type Directory,
  type Leaf,
  type Metadata,
  makeDevice,
  type Tree,
  type TreeNode,
} from "../../model/tree/tree.ts";
import { nodesOf } from "../../model/tree/walk.ts";
import type { CauseCode } from "./causes.ts";
import type { Example, Findings, LayerName } from "./findings.ts";
import { showContent, showKind, showMode, showOwner, showText, showTime } from "./values.ts";

export interface ComparedTree {
  readonly tree: Tree;
  /** Of an image. */
  readonly history?: TreeHistory;
  readonly layers?: readonly Layer[];
}

export interface CompareOptions {
  /** False where the format of a digest has none; the other side's are then no difference. */
  readonly nanoseconds: boolean;
}

/**
 * Finds every difference that two digests can come from, each with its probable cause.
 *
 * Looks at each node once; costs nothing for what the sides share but the look.
 */
export function compareTrees(a: ComparedTree, b: ComparedTree, findings: Findings, options: CompareOptions): void {
  new Comparison(a, b, findings, options).run();
}

/** One path where both sides have a node. */
interface Pair<N extends TreeNode = TreeNode> {
  readonly path: ByteString;
  readonly a: N;
  readonly b: N;
}

const CAPABILITY = byteString("security.capability");

class Comparison {
  readonly #a: ComparedTree;
  readonly #b: ComparedTree;
  readonly #findings: Findings;
  readonly #nanoseconds: boolean;
  /** Path of the first name that both sides have, by leaf. */
  readonly #firstName = { a: new Map<Leaf, ByteString>(), b: new Map<Leaf, ByteString>() };

  constructor(a: ComparedTree, b: ComparedTree, findings: Findings, { nanoseconds }: CompareOptions) {
    this.#a = a;
    this.#b = b;
    this.#findings = findings;
    this.#nanoseconds = nanoseconds;
  }

  run(): void {
    const open: Pair<Directory>[] = [{ path: "/" as ByteString, a: this.#a.tree.root, b: this.#b.tree.root }];
    for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
      for (const below of this.#compareDirectories(pair).reverse()) open.push(below);
    }
    const seen = { a: namespacesOf(this.#a.tree), b: namespacesOf(this.#b.tree) };
    this.#findings.rename(
      "explain.xattr",
      "explain.xattr.namespace",
      (namespace) => !seen.a.has(namespace) || !seen.b.has(namespace),
    );
  }

  /** @returns the pairs of directories in it, by name */
  #compareDirectories(pair: Pair<Directory>): Pair<Directory>[] {
    const { a, b, path } = pair;
    const names = [...new Set([...a.entries.keys(), ...b.entries.keys()])].sort();
    const below: Pair<Directory>[] = [];
    /** Why the directory has other entries, if it has: that changes its time as well. */
    let otherEntries: CauseCode | undefined;
    for (const name of names) {
      const childPath = (path === "/" ? `/${name}` : `${path}/${name}`) as ByteString;
      const [childA, childB] = [a.entries.get(name), b.entries.get(name)];
      if (childA === undefined || childB === undefined) {
        const cause = this.#addOnly(childPath, childA, childB, pair);
        otherEntries ??= cause;
      } else if (childA.kind === "directory" && childB.kind === "directory") {
        below.push({ path: childPath, a: childA, b: childB });
      } else if (childA.kind === "directory" || childB.kind === "directory" || childA.kind !== childB.kind) {
        this.#addPair("explain.type", { path: childPath, a: childA, b: childB }, "type", showKind);
      } else {
        this.#compareLeaves({ path: childPath, a: childA, b: childB });
      }
    }
    this.#compareDirectoryMetadata(pair, otherEntries);
    return below;
  }

  #compareDirectoryMetadata(pair: Pair<Directory>, otherEntries: CauseCode | undefined): void {
    const { a, b, path } = pair;
    const isRoot = path === "/";
    const mirrors = this.#mirroredUsr(pair);
    if (isRoot && mirrors === undefined) {
      this.#compareMetadata(pair, {
        mode: "explain.root-metadata",
        owner: "explain.root-metadata",
        time: "explain.root-metadata",
      });
      return;
    }
    const history = this.#historyCause(mirrors ?? pair);
    const invented = this.#isInvented(pair) ? history?.code : undefined;
    this.#compareMetadata(pair, {
      mode: invented ?? "explain.mode",
      owner: invented ?? "explain.owner",
      time: history?.code ?? this.#takenFromUsr(path, a, b) ?? otherEntries ?? "explain.directory-time",
      subsecond:
        history?.code ??
        (KEEPS_NANOSECONDS.has(path) && !this.#isExactCopy(pair, mirrors) ? "explain.boot-nanoseconds" : undefined),
      note: mirrors === undefined ? invented && history?.note : "as /usr",
      timeNote: [mirrors && "as /usr", history?.note].filter((one) => one !== undefined).join("; "),
    });
  }

  /** The root, and the times of directories that are emptied, are those of /usr: they are no difference of their own. */
  #mirroredUsr({ a, b, path }: Pair<Directory>): Pair<Directory> | undefined {
    if (path !== "/" && !EMPTIED.has(path)) return undefined;
    const usr = { a: directoryIn(this.#a.tree, "usr"), b: directoryIn(this.#b.tree, "usr") };
    if (usr.a === undefined || usr.b === undefined) return undefined;
    const isCopy = path === "/" ? isSameButXattrs : isSameSecond;
    if (!isCopy(a.meta, usr.a.meta) || !isCopy(b.meta, usr.b.meta)) return undefined;
    return { path: "/usr" as ByteString, a: usr.a, b: usr.b };
  }

  #isExactCopy({ a, b }: Pair<Directory>, mirrors: Pair<Directory> | undefined): boolean {
    return mirrors !== undefined && isSameTime(a.meta, mirrors.a.meta) && isSameTime(b.meta, mirrors.b.meta);
  }

  /** One side took the seconds of /usr, the other did not: only one was transformed. */
  #takenFromUsr(path: ByteString, a: Directory, b: Directory): CauseCode | undefined {
    if (!EMPTIED.has(path)) return undefined;
    return takesUsrSecond(this.#a, a) === takesUsrSecond(this.#b, b) ? undefined : "explain.transform";
  }

  /** What the layers of a side say about the time of a directory that the other side has another for. */
  #historyCause({ a, b }: Pair<Directory>): { readonly code: CauseCode; readonly note: string } | undefined {
    for (const [side, node, other] of [[this.#a, a, b] as const, [this.#b, b, a] as const]) {
      const { declared = [], undeclared = [] } = side.history?.directory(node) ?? {};
      const last = declared.at(-1);
      const implied = undeclared.at(-1);
      if (implied !== undefined && (last === undefined || implied > last.layer)) {
        const note = `${nameLayer(side, implied)} has entries in it${last === undefined ? ", and no layer declares it" : " and does not declare it"}`;
        return { code: "explain.directory-time.implicit-parent", note };
      }
      const earlier = declared.slice(0, -1).find(({ meta }) => meta.mtimeSec === other.meta.mtimeSec);
      if (earlier !== undefined && last?.meta.mtimeSec !== other.meta.mtimeSec) {
        const note = `${nameLayer(side, earlier.layer)} declares it with the other time`;
        return { code: "explain.directory-time.repeated", note };
      }
    }
    return undefined;
  }

  #isInvented({ a, b }: Pair<Directory>): boolean {
    return isInvented(this.#a, a) || isInvented(this.#b, b);
  }

  #compareLeaves(pair: Pair<Leaf>): void {
    const { a, b } = pair;
    if (this.#compareLinks(pair) === "compared-before") return;
    if (a.kind === "file" && b.kind === "file") {
      this.#compareContents(pair, a.content, b.content);
    } else if (a.kind === "symlink" && b.kind === "symlink" && a.target !== b.target) {
      this.#addPair("explain.link-target", pair, "target", (node) =>
        node.kind === "symlink" ? showText(node.target) : "",
      );
    } else if ("rdev" in a && "rdev" in b && a.rdev !== b.rdev) {
      this.#addPair("explain.device", pair, "device", (node) => ("rdev" in node ? showDevice(node.rdev) : ""));
    }
    this.#compareMetadata(pair, {
      mode: a.kind === "symlink" ? "explain.mode.symlink" : "explain.mode",
      owner: "explain.owner",
      time: "explain.time",
    });
  }

  /** A name that shares its leaf with an earlier one must do so on both sides; names of one side only do not count. */
  #compareLinks({ a, b, path }: Pair<Leaf>): "compared-before" | "new" {
    const first = { a: this.#firstName.a.get(a), b: this.#firstName.b.get(b) };
    if (first.a === undefined) this.#firstName.a.set(a, path);
    if (first.b === undefined) this.#firstName.b.set(b, path);
    if (first.a === first.b) return first.a === undefined ? "new" : "compared-before";
    this.#findings.add("explain.hardlink", () => ({
      ...this.#example({ path, a, b }, "link"),
      a: showLink(first.a),
      b: showLink(first.b),
    }));
    return "new";
  }

  #compareContents(pair: Pair, a: Content, b: Content): void {
    const same = compareContents(a, b);
    if (same === "equal") return;
    const code = same === "stored-otherwise" ? "explain.storage" : contentCause(pair.path);
    this.#addPair(code, pair, "content", (node) => (node.kind === "file" ? showContent(node.content) : ""));
  }

  #compareMetadata(
    pair: Pair,
    causes: {
      readonly mode: CauseCode;
      readonly owner: CauseCode;
      readonly time: CauseCode;
      readonly subsecond?: CauseCode | undefined;
      readonly note?: string | undefined;
      /** Instead of `note`, where what differs is the time. */
      readonly timeNote?: string;
    },
  ): void {
    const { a, b } = { a: pair.a.meta, b: pair.b.meta };
    if (a === b) return;
    const { note, timeNote = note } = causes;
    if (a.mode !== b.mode) this.#addPair(causes.mode, pair, "mode", ({ meta }) => showMode(meta.mode), note);
    if (a.uid !== b.uid || a.gid !== b.gid) {
      this.#addPair(causes.owner, pair, "owner", ({ meta }) => showOwner(meta), note);
    }
    if (a.mtimeSec !== b.mtimeSec) {
      this.#addPair(causes.time, pair, "mtime", ({ meta }) => showTime(meta), timeNote);
    } else if (this.#nanoseconds && a.mtimeNsec !== b.mtimeNsec) {
      const code = causes.subsecond ?? "explain.time.subsecond";
      this.#addPair(code, pair, "mtime", ({ meta }) => showTime(meta), timeNote);
    }
    if (a.xattrs !== b.xattrs && (a.xattrs.size > 0 || b.xattrs.size > 0)) this.#compareXattrs(pair);
  }

  #compareXattrs(pair: Pair): void {
    const [a, b] = [pair.a.meta.xattrs, pair.b.meta.xattrs];
    for (const name of new Set([...a.keys(), ...b.keys()])) {
      if (a.get(name) === b.get(name)) continue;
      const own =
        name === SELINUX_XATTR ? "explain.selinux-label" : name === CAPABILITY ? "explain.capability" : undefined;
      this.#findings.add(
        own ?? "explain.xattr",
        () => {
          return {
            ...this.#example(pair, showByteString(name)),
            ...valueOf("a", a.get(name)),
            ...valueOf("b", b.get(name)),
          };
        },
        own === undefined ? namespaceOf(name) : undefined,
      );
    }
  }

  #addOnly(path: ByteString, a: TreeNode | undefined, b: TreeNode | undefined, parent: Pair<Directory>): CauseCode {
    const node = (a ?? b) as TreeNode;
    const side = b === undefined ? "a" : "b";
    const code = onlyCause(path, node, side, parent);
    this.#findings.add(code, () => ({
      ...this.#example({ path, a, b }, "entry"),
      [side]: node.kind === "directory" ? `directory${showSize(node)}` : showKind(node),
    }));
    return code;
  }

  #addPair(code: CauseCode, pair: Pair, field: string, show: (node: TreeNode) => string, note?: string): void {
    this.#findings.add(code, () => ({
      ...this.#example(pair, field),
      a: show(pair.a),
      b: show(pair.b),
      ...(note ? { note } : {}),
    }));
  }

  #example(
    { a, b, path }: { readonly path: ByteString; readonly a: TreeNode | undefined; readonly b: TreeNode | undefined },
    field: string,
  ): Example {
    const layers = { ...broughtBy("a", this.#a, a), ...broughtBy("b", this.#b, b) };
    return { path: showByteString(path), field, ...(Object.keys(layers).length === 0 ? {} : { layers }) };
  }
}

/** Directories that the transforms empty. */
const EMPTIED: ReadonlySet<string> = new Set(["/run", "/boot", "/sysroot"]);

/** Where the boot transform of composefs-rs, up to September 2026, took only the seconds of /usr. */
const KEEPS_NANOSECONDS: ReadonlySet<string> = new Set(["/boot", "/sysroot"]);

/** What an engine writes into a container before it runs; build containers leave them in directories. */
const INJECTED: ReadonlySet<string> = new Set(["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/.dockerenv"]);

const KERNEL_FILE = /^\/usr\/lib\/modules\/[^/]+\/(?:vmlinuz|initramfs\.img)$/;

function onlyCause(path: string, node: TreeNode, side: "a" | "b", parent: Pair<Directory>): CauseCode {
  const other = side === "a" ? parent.b : parent.a;
  if (EMPTIED.has(parent.path) && other.entries.size === 0) return "explain.transform";
  if (INJECTED.has(path)) return "explain.injected-file";
  if (KERNEL_FILE.test(path)) return "explain.kernel";
  if (node.kind === "socket") return "explain.socket";
  return side === "a" ? "explain.only-in-a" : "explain.only-in-b";
}

const contentCause = (path: string): CauseCode => (INJECTED.has(path) ? "explain.injected-file" : "explain.content");

function compareContents(a: Content, b: Content): "equal" | "stored-otherwise" | "different" {
  if (a === b) return "equal";
  if (a.kind === "inline" && b.kind === "inline") return equalBytes(a.bytes, b.bytes) ? "equal" : "different";
  if (a.kind === "inline" && b.kind === "external") return isContentOf(a.bytes, b) ? "stored-otherwise" : "different";
  if (a.kind === "external" && b.kind === "inline") return isContentOf(b.bytes, a) ? "stored-otherwise" : "different";
  if (a.kind === "external" && b.kind === "external") return isSameObject(a, b) ? "equal" : "different";
  if (a.kind === "unverified" && b.kind === "unverified") {
    return a.size === b.size && a.path === b.path ? "equal" : "different";
  }
  return a.kind === "sparse" && b.kind === "sparse" && a.size === b.size ? "equal" : "different";
}

type External = Extract<Content, { kind: "external" }>;

/** Where the sides have digests of different algorithms, the size is all that can be compared. */
function isSameObject(a: External, b: External): boolean {
  if (a.size !== b.size) return false;
  for (const [algorithm, digest] of Object.entries(a.digests)) {
    const other = b.digests[algorithm as VerityAlgorithm];
    if (other !== undefined) return equalBytes(digest, other);
  }
  return true;
}

function isContentOf(bytes: Uint8Array, { digests, size }: External): boolean {
  const [[algorithm, digest] = []] = Object.entries(digests);
  if (algorithm === undefined || digest === undefined || BigInt(bytes.length) !== size) return false;
  return equalBytes(computeFsverityDigest(bytes, algorithm as VerityAlgorithm), digest);
}

function takesUsrSecond({ tree }: ComparedTree, { meta }: Directory): boolean {
  return directoryIn(tree, "usr")?.meta.mtimeSec === meta.mtimeSec;
}

function isInvented({ history }: ComparedTree, node: Directory): boolean {
  const { declared, undeclared } = history?.directory(node) ?? { declared: [], undeclared: [] };
  return declared.length === 0 && undeclared.length > 0;
}

function showLink(other: ByteString | undefined): string {
  return other === undefined ? "a file of its own" : `the same file as ${showByteString(other)}`;
}

function valueOf(side: "a" | "b", value: ByteString | undefined): Pick<Example, "a" | "b"> {
  return value === undefined ? {} : { [side]: showText(value) };
}

const isSameSecond = (a: Metadata, b: Metadata): boolean => a.mtimeSec === b.mtimeSec;
const isSameTime = (a: Metadata, b: Metadata): boolean => a.mtimeSec === b.mtimeSec && a.mtimeNsec === b.mtimeNsec;
const isSameButXattrs = (a: Metadata, b: Metadata): boolean =>
  a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && isSameTime(a, b);

function directoryIn({ root }: Tree, name: string): Directory | undefined {
  const node = root.entries.get(name as ByteString);
  return node?.kind === "directory" ? node : undefined;
}

const NAMESPACES = ["user.", "trusted.", "security.", "system."];

function namespaceOf(name: ByteString): string {
  const prefix = NAMESPACES.find((known) => name.startsWith(known));
  return prefix === undefined ? "other" : `${prefix}*`;
}

function namespacesOf(tree: Tree): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { meta } of nodesOf(tree.root)) {
    for (const name of meta.xattrs.keys()) {
      if (name !== SELINUX_XATTR && name !== CAPABILITY) found.add(namespaceOf(name));
    }
  }
  return found;
}

function broughtBy(
  side: "a" | "b",
  compared: ComparedTree,
  node: TreeNode | undefined,
): { a?: LayerName; b?: LayerName } {
  const { history, layers } = compared;
  if (node === undefined || history === undefined) return {};
  const index =
    history.layerOf(node) ?? (node.kind === "directory" ? history.directory(node).undeclared.at(-1) : undefined);
  const layer = index === undefined ? undefined : layers?.[index];
  return layer === undefined ? {} : { [side]: toLayerName(layer) };
}

export function toLayerName({ createdBy, digest, index }: Layer): LayerName {
  return { index, digest, ...(createdBy === undefined ? {} : { createdBy }) };
}

function nameLayer({ layers }: ComparedTree, index: number): string {
  const createdBy = layers?.[index]?.createdBy;
  return createdBy === undefined ? `layer ${index}` : `layer ${index} (${createdBy.slice(0, 100)})`;
}

function showDevice(rdev: number): string {
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return makeDevice(major, minor) === rdev ? `${major}:${minor}` : String(rdev);
}

function showSize(directory: Directory): string {
  let count = -1;
  for (const _ of nodesOf(directory)) count++;
  return count === 0 ? "" : ` with ${count} entries below`;
}
