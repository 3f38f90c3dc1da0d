import { expect, test } from "vitest";
import type { Ext4Directory, Ext4Node, MutableExt4Directory } from "../../formats/ext4/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import type { Directory, TreeNode } from "../tree/tree.ts";
import { mergeEtc } from "./merge-etc.ts";

/** A directory, a file by its text, or a link: `-> target`. A mode in front makes it another file: `600 text`. */
interface Files {
  readonly [name: string]: string | Files;
}

const meta = (mode: number) => ({ mode, uid: 0, gid: 0, mtimeSec: 0n, mtimeNsec: 0, xattrs: new Map() });

function split(text: string): { readonly mode: number; readonly content: string } {
  const [, mode, content] = /^([0-7]{3}) (.*)$/s.exec(text) ?? [];
  return mode === undefined
    ? { mode: 0o644, content: text }
    : { mode: Number.parseInt(mode, 8), content: content ?? "" };
}

function stored(files: Files): MutableExt4Directory<string> {
  const entries = Object.entries(files).map(([name, node]): [ByteString, Ext4Node<string>] => {
    if (typeof node !== "string") return [byteString(name), stored(node)];
    if (node === "fifo") return [byteString(name), { kind: "fifo", meta: meta(0o644) }];
    if (node.startsWith("-> "))
      return [byteString(name), { kind: "symlink", meta: meta(0o777), target: byteString(node) }];
    const { content, mode } = split(node);
    return [byteString(name), { kind: "file", meta: meta(mode), size: content.length, content }];
  });
  return { kind: "directory", meta: meta(0o755), entries: new Map(entries) };
}

function pristine(files: Files): Directory {
  const entries = Object.entries(files).map(([name, node]): [ByteString, TreeNode] => {
    if (typeof node !== "string") return [byteString(name), pristine(node)];
    if (node.startsWith("-> "))
      return [byteString(name), { kind: "symlink", meta: meta(0o777), target: byteString(node) }];
    const { content, mode } = split(node);
    return [
      byteString(name),
      { kind: "file", meta: meta(mode), content: { kind: "inline", bytes: Buffer.from(content) } },
    ];
  });
  return { kind: "directory", meta: meta(0o755), entries: new Map(entries) };
}

function show({ entries }: Ext4Directory<string>): Files {
  return Object.fromEntries(
    [...entries].map(([name, node]): [string, string | Files] => {
      if (node.kind === "directory") return [name, show(node)];
      if (node.kind === "symlink") return [name, node.target];
      if (node.kind !== "file") return [name, node.kind];
      return [name, node.meta.mode === 0o644 ? node.content : `${node.meta.mode.toString(8)} ${node.content}`];
    }),
  );
}

const merge = (before: Files, current: Files, next: Files) =>
  mergeEtc({
    pristine: pristine(before),
    current: stored(current),
    next: stored(next),
    hasContent: (file, _, content) => content.kind === "inline" && file === Buffer.from(content.bytes).toString(),
  });

const NONE = { carried: [], removed: [], conflicts: [] };

test.each<
  [what: string, before: Files, current: Files, next: Files, merged: Files, moved: Partial<typeof NONE> | object]
>([
  ["nothing that is untouched", { a: "1" }, { a: "1" }, { a: "2", b: "new" }, { a: "2", b: "new" }, {}],
  ["a file that was added", {}, { a: "1" }, {}, { a: "1" }, { carried: ["a"] }],
  [
    "a file that was changed, whatever the image did",
    { a: "1" },
    { a: "x" },
    { a: "2" },
    { a: "x" },
    { carried: ["a"] },
  ],
  ["a changed file that the image dropped", { a: "1" }, { a: "x" }, {}, { a: "x" }, { carried: ["a"] }],
  ["an untouched file that the image dropped", { a: "1" }, { a: "1" }, {}, {}, {}],
  ["the lack of a file that was removed", { a: "1" }, {}, { a: "2" }, {}, { removed: ["a"] }],
  ["a mode", { a: "1" }, { a: "600 1" }, { a: "2" }, { a: "600 1" }, { carried: ["a"] }],
  ["a link in place of a file", { a: "1" }, { a: "-> b" }, { a: "2" }, { a: "-> b" }, { carried: ["a"] }],
  ["the target of a link", { a: "-> b" }, { a: "-> c" }, { a: "-> b" }, { a: "-> c" }, { carried: ["a"] }],
  ["a directory that was added", {}, { d: { a: "1" } }, {}, { d: { a: "1" } }, { carried: ["d/", "d/a"] }],
  ["an empty directory that was added", {}, { d: {} }, {}, { d: {} }, { carried: ["d/"] }],
  [
    "the parents of what was added",
    { d: { b: "1" } },
    { d: { b: "1", a: "x" } },
    {},
    { d: { a: "x" } },
    { carried: ["d/a"] },
  ],
  ["no directory that the image dropped", { d: { b: "1" } }, { d: { b: "1" } }, {}, {}, {}],
  [
    "what is below in both",
    { d: { a: "1" } },
    { d: { a: "x" } },
    { d: { a: "1", n: "2" } },
    { d: { a: "x", n: "2" } },
    { carried: ["d/a"] },
  ],
  ["no FIFO", {}, { f: "fifo" }, {}, {}, {}],
  [
    "no conflict where the image made a file of an untouched directory",
    { d: { a: "1" } },
    { d: { a: "1" } },
    { d: "2" },
    { d: "2" },
    {},
  ],
])("mergeEtc() carries over %s", (_, before, current, next, merged, moved) => {
  const { etc, ...found } = merge(before, current, next);
  expect(found).toEqual({ ...NONE, ...moved });
  expect(show(etc)).toEqual(merged);
});

test.each<[what: string, before: Files, current: Files, next: Files, path: string]>([
  ["an added directory and a file", {}, { d: {} }, { d: "2" }, "d"],
  ["a directory with a change in it and a file", { d: { a: "1" } }, { d: { a: "x" } }, { d: "2" }, "d"],
  ["a directory with a loss in it and a file", { d: { a: "1" } }, { d: {} }, { d: "2" }, "d"],
  ["a changed file and a directory", { a: "1" }, { a: "x" }, { a: { b: "2" } }, "a"],
])("mergeEtc() reports %s as a conflict", (_, before, current, next, path) => {
  expect(merge(before, current, next).conflicts).toEqual([path]);
});

test("mergeEtc() keeps hard links among what it carries over, and makes none with the old /etc", () => {
  const current = stored({ a: "1" });
  const [shared] = current.entries.values();
  current.entries.set(byteString("b"), shared as Ext4Node<string>);
  const { etc } = mergeEtc({ pristine: pristine({}), current, next: stored({}), hasContent: () => false });
  const [a, b] = etc.entries.values();
  expect(a).toBe(b);
  expect(a).not.toBe(shared);
});
