import { type CpioEntry, type InitramfsMember, listInitramfs } from "../../formats/cpio/index.ts";
import { findSection } from "../../formats/uki/index.ts";
import { showByteString } from "../../lib/bytes/byte-string.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import type { Notes } from "./notes.ts";
import { type Pair, pairUp } from "./pair-up.ts";
import type { InitramfsFacts, InitramfsReport, MemberChange } from "./report.ts";
import type { Side, Sides } from "./subjects.ts";

/** What differs in the initramfs, wherever each side has it: in the UKI or beside the kernel. */
export function reportInitramfs({ a, b, differ }: Sides, notes: Notes): InitramfsReport | null {
  if (!differ.has("ukis") && !differ.has("initramfs")) return null;
  const before = findInitramfs(a, differ, notes);
  const after = findInitramfs(b, differ, notes);
  if (before === undefined && after === undefined) return null;
  if (before !== undefined && after !== undefined && equalBytes(before.bytes, after.bytes)) return null;
  const [left, right] = [unpack(before, a, notes), unpack(after, b, notes)];
  return {
    before: left?.facts ?? null,
    after: right?.facts ?? null,
    members: pairMembers(left, right).flatMap(toChange),
  };
}

/** Nothing when one side could not be opened: every file of the other one would seem to be new. */
function pairMembers(before: Unpacked | undefined, after: Unpacked | undefined): Pair<InitramfsFile>[] {
  const [left, right] = [before, after].map((one) => (one === undefined ? [] : one.files));
  return left === undefined || right === undefined ? [] : pairUp(left, right, ({ path }) => path);
}

interface Found {
  readonly path: string;
  readonly bytes: Uint8Array;
}

function findInitramfs(side: Side, differ: Sides["differ"], notes: Notes): Found | undefined {
  const { initramfs, kernel } = side.subjects;
  if (kernel?.unified === true && differ.has("ukis")) {
    const { path } = kernel.uki;
    const bytes = notes.attempt(`${side.source.name}: ${path}`, () => findSection(side.ukiOf(kernel.uki), ".initrd"));
    return bytes === undefined ? undefined : { path, bytes };
  }
  const [file] = initramfs;
  return file === undefined || !differ.has("initramfs") ? undefined : { path: file.path, bytes: side.bytesOf(file) };
}

interface InitramfsFile {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly content: Uint8Array;
}

interface Unpacked {
  readonly facts: InitramfsFacts;
  /** Absent when a part could not be opened. */
  readonly files?: readonly InitramfsFile[];
}

function unpack(found: Found | undefined, { source }: Side, notes: Notes): Unpacked | undefined {
  if (found === undefined) return undefined;
  const { bytes, path } = found;
  const members = notes.attempt(`${source.name}: ${path}`, () => listInitramfs(bytes));
  const facts = { path, size: bytes.length, archives: (members ?? []).map(describe) };
  if (members === undefined) return { facts };
  const closed = members.find(({ entries }) => entries === undefined);
  if (closed === undefined) return { facts, files: filesIn(members) };
  const message = `${source.name}: ${path}: an archive at byte ${closed.offset} is packed with ${closed.compression}, only gzip and zstd are opened: members are not compared`;
  notes.add("cpio.compression", message);
  return { facts };
}

const describe = ({ compression, entries, size }: InitramfsMember) => ({
  compression,
  size,
  entries: entries?.length ?? null,
});

/** As the kernel unpacks them: the last of a path counts, and of several links the one that has the content. */
function filesIn(members: readonly InitramfsMember[]): InitramfsFile[] {
  const files = new Map<string, InitramfsFile>();
  for (const { entries = [] } of members) {
    const withContent = entries.filter((entry) => isLinked(entry) && entry.content.length > 0);
    const contents = new Map(withContent.map((entry) => [linkOf(entry), entry.content]));
    for (const entry of entries) {
      const path = showByteString(entry.path).replace(/^(?:\.?\/)+/, "") || ".";
      const content = isLinked(entry) ? (contents.get(linkOf(entry)) ?? entry.content) : entry.content;
      files.set(path, { path, mode: entry.mode, uid: entry.uid, gid: entry.gid, content });
    }
  }
  return [...files.values()];
}

const TYPE_MASK = 0o170000;
const REGULAR = 0o100000;

const isLinked = ({ mode, nlink }: CpioEntry): boolean => nlink > 1 && (mode & TYPE_MASK) === REGULAR;
const linkOf = ({ devMajor, devMinor, inode }: CpioEntry): string => `${devMajor}:${devMinor}:${inode}`;

function toChange({ after, before }: Pair<InitramfsFile>): MemberChange[] {
  const sizes = {
    ...(before === undefined ? {} : { sizeBefore: before.content.length }),
    ...(after === undefined ? {} : { sizeAfter: after.content.length }),
  };
  if (before === undefined || after === undefined) {
    const path = (before ?? after)?.path as string;
    return [{ path, change: before === undefined ? "added" : "removed", ...sizes, aspects: [] }];
  }
  const aspects: MemberChange["aspects"][number][] = [];
  if ((before.mode & TYPE_MASK) !== (after.mode & TYPE_MASK)) aspects.push("type");
  if (!equalBytes(before.content, after.content)) aspects.push("content");
  if ((before.mode & ~TYPE_MASK) !== (after.mode & ~TYPE_MASK)) aspects.push("mode");
  if (before.uid !== after.uid || before.gid !== after.gid) aspects.push("owner");
  return aspects.length === 0 ? [] : [{ path: after.path, change: "changed", ...sizes, aspects }];
}
