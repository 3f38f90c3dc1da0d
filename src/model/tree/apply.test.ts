import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { entry, layer, showTree, xattrs } from "../../../test/layers.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import { FormatError } from "../../lib/errors.ts";
import type { LayerEntry, LayerRecord } from "../layer/entry.ts";
import { MAX_DEPTH, treeFromLayers } from "./apply.ts";
import { TreeHistory } from "./history.ts";
import { lookup } from "./tree.ts";

const { dir, file, link, symlink, char, fifo } = entry;

const paths = (...layers: LayerRecord[]) => showTree(treeFromLayers(layers)).slice(1);

test.each<[string, LayerRecord[], string[]]>([
  ["keeps the names of a layer", [layer(dir("a"), file("a/f", "x"))], ["/a directory", "/a/f file x"]],
  [
    "drops ./, a leading slash, doubled and trailing slashes",
    [layer(dir("./a/"), dir("/a//b/"), file("a/./b/f/"))],
    ["/a directory", "/a/b directory", "/a/b/f file "],
  ],
  [
    "removes a whole subtree by a whiteout, and nothing when the name is absent",
    [layer(dir("a"), file("a/f"), file("g")), layer(file(".wh.a"), file(".wh.absent"), file(".wh."))],
    ["/g file "],
  ],
  [
    "empties a directory by an opaque marker, entries of the same layer before it included",
    [layer(dir("a"), file("a/old")), layer(file("a/mine"), file("a/.wh..wh..opq"), file("a/after"))],
    ["/a directory", "/a/after file "],
  ],
  ["takes any kind of entry for a whiteout", [layer(file("f")), layer(dir(".wh.f"))], []],
  [
    "keeps the children of a directory that comes again",
    [layer(dir("a"), file("a/f")), layer(dir("a"))],
    ["/a directory", "/a/f file "],
  ],
  ["replaces a file by an empty directory", [layer(file("a", "x")), layer(dir("a"))], ["/a directory"]],
  ["replaces a directory by a file, its subtree lost", [layer(dir("a"), file("a/f")), layer(file("a"))], ["/a file "]],
  [
    "replaces a symlink and does not follow it",
    [layer(dir("d"), symlink("l", "d")), layer(dir("l"), file("l/f"))],
    ["/d directory", "/l directory", "/l/f file "],
  ],
  [
    "links across layers to what the name is now",
    [layer(file("a", "1")), layer(file("a", "2"), link("b", "./a"))],
    ["/a file 2 #1", "/b file 2 #1"],
  ],
  [
    "keeps the other names of a file that loses one",
    [layer(file("a", "1"), link("b", "a"), link("c", "/a")), layer(file(".wh.a"), file("b", "2"))],
    ["/b file 2", "/c file 1"],
  ],
  ["links a name to itself", [layer(file("a", "1"), link("a", "a"))], ["/a file 1"]],
  ["links special files", [layer(fifo("p"), link("q", "p"))], ["/p fifo #1", "/q fifo #1"]],
  ["keeps a character device 0: it is no whiteout here", [layer(char("w", 0))], ["/w char 0"]],
  ["does not take .wh for a whiteout", [layer(file(".wh"), file("a.wh.b"))], ["/.wh file ", "/a.wh.b file "]],
])("treeFromLayers() %s", (_, layers, expected) => {
  expect(paths(...layers)).toEqual(expected);
});

test.each<[string, LayerEntry[], string, number]>([
  ["a missing parent", [file("a/b/c")], "tree.parent-missing", 0],
  ["a missing parent of a whiteout", [file("a/.wh.b")], "tree.parent-missing", 0],
  ["a parent that is a file", [file("a"), file("a/b")], "tree.parent-not-directory", 1],
  ["a parent that is a symlink", [dir("d"), symlink("l", "d"), file("l/f")], "tree.parent-not-directory", 2],
  ["a .. in a path", [dir("a"), file("a/../b")], "tree.path-dotdot", 1],
  ["a .. at the start", [file("../b")], "tree.path-dotdot", 0],
  ["a file in the place of the root", [file("./")], "tree.root-not-directory", 0],
  ["a file whose path ends in ..", [file("a/..")], "tree.root-not-directory", 0],
  ["a hard link to nothing", [link("a", "b")], "tree.hardlink-target-missing", 0],
  ["a hard link below a file", [file("f"), link("a", "f/x")], "tree.hardlink-target-missing", 1],
  ["a hard link to a directory", [dir("d"), link("a", "d")], "tree.hardlink-target-directory", 1],
  ["a hard link to the root", [link("a", "/")], "tree.hardlink-target-directory", 0],
  ["a hard link through ..", [dir("d"), file("f"), link("a", "d/../f")], "tree.path-dotdot", 2],
  ["a whiteout that is a hard link to nothing", [file("f"), link(".wh.f", "g")], "tree.hardlink-target-missing", 1],
  ["a path that is too deep", [file("a/".repeat(MAX_DEPTH) + "f")], "tree.path-too-deep", 0],
])("treeFromLayers() refuses %s", (_, entries, code, at) => {
  const refusal = catchRefusal(() => treeFromLayers([layer(dir("x")), layer(...entries)]));
  expect(refusal.code).toBe(code);
  expect(refusal.data).toMatchObject({ layer: 1, path: entries[at]?.path });
});

test("treeFromLayers() names the missing parent and how to add it", () => {
  const refusal = catchRefusal(() => treeFromLayers([layer(dir("a")), layer(file("a/b/c/d"))]));
  expect(refusal.message).toBe(
    'layer 1: entry "a/b/c/d": found no directory "a/b", expected its parent in this layer or one below',
  );
  expect(refusal.data).toMatchObject({ parent: "a/b" });
  expect(refusal.hint).toContain('add an entry for the directory "a/b" to layer 1');
});

function catchRefusal(work: () => unknown): FormatError {
  try {
    work();
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

test("treeFromLayers() starts with a root without rights, and gives it the metadata of a root entry", () => {
  const bare = treeFromLayers([layer(dir("a"))]);
  expect(bare.root.meta).toMatchObject({ mode: 0, uid: 0, mtimeSec: 0n, mtimeNsec: 0 });
  const given = { mode: 0o711, uid: 5, mtimeSec: 7n, xattrs: xattrs({ "user.a": "b" }) };
  for (const root of ["./", "/", ".", "", "a/.."]) {
    const tree = treeFromLayers([layer(dir("a"), dir(root, given))]);
    expect(tree.root.meta).toMatchObject(given);
    expect(tree.root.entries.size).toBe(1);
  }
});

test("treeFromLayers() takes all metadata of a directory that comes again, and none of a hard link", () => {
  const tree = treeFromLayers([
    layer(dir("d", { xattrs: xattrs({ "user.a": "b" }) }), file("f", "1", { mode: 0o600 })),
    layer(dir("d", { mode: 0o700, mtimeSec: 9n }), link("g", "f", { mode: 0o777, uid: 3 })),
  ]);
  expect(lookup(tree, "d")?.meta).toMatchObject({ mode: 0o700, mtimeSec: 9n, xattrs: new Map() });
  expect(lookup(tree, "g")?.meta).toMatchObject({ mode: 0o600, uid: 0 });
});

test("treeFromLayers() tells which layer brought a node", () => {
  const history = new TreeHistory();
  const layers = [
    layer(dir("d"), dir("e"), file("d/f"), file("d/g")),
    layer(dir("d"), file("d/g"), link("d/h", "d/f")),
  ];
  const tree = treeFromLayers(layers, { history });
  const layerOf = (path: string) => history.layerOf(lookup(tree, path) ?? tree.root);
  expect(["d", "e", "d/f", "d/g", "d/h"].map(layerOf)).toEqual([1, 0, 0, 1, 0]);
  expect(history.layerOf(tree.root)).toBeUndefined();
});

test("treeFromLayers() tells which layers declare a directory and which only have entries below it", () => {
  const history = new TreeHistory();
  const layers = [
    layer(dir("d", { mtimeSec: 1n }), file("d/f")),
    layer(file("d/g"), file("d/h")),
    layer(file("d/i"), dir("d", { mtimeSec: 3n })),
    layer(file("d/.wh.f")),
  ];
  const directory = lookup(treeFromLayers(layers, { history }), "d");
  if (directory?.kind !== "directory") throw new TypeError("d is no directory");
  const { declared, undeclared } = history.directory(directory);
  expect(declared.map((one) => [one.layer, one.meta.mtimeSec])).toEqual([
    [0, 1n],
    [2, 3n],
  ]);
  expect(undeclared).toEqual([1, 3]);
});

test("treeFromLayers() tells which parents it invented, and for which layer", () => {
  const invented: [string, number][] = [];
  treeFromLayers([layer(dir("a")), layer(file("a/b/c/f"), file("a/b/g"))], {
    missingParents: "invent",
    onInvented: (path, index) => invented.push([path, index]),
  });
  expect(invented).toEqual([
    ["a/b", 1],
    ["a/b/c", 1],
  ]);
});

test("treeFromLayers() invents missing parents where it is told to", () => {
  const history = new TreeHistory();
  const tree = treeFromLayers([layer(file("a/b/f"))], { history, missingParents: "invent" });
  expect(showTree(tree, ({ mode, mtimeSec }) => `${mode.toString(8)} ${mtimeSec}`).slice(1)).toEqual([
    "/a directory 755 0",
    "/a/b directory 755 0",
    "/a/b/f file  644 0",
  ]);
  const invented = lookup(tree, "a/b");
  expect(invented?.kind === "directory" && history.directory(invented)).toEqual({ declared: [], undeclared: [0] });
});

test("treeFromLayers() never makes a directory of what is none", () => {
  const refused = () => treeFromLayers([layer(file("a"), file("a/b"))], { missingParents: "invent" });
  expect(codeOf(refused)).toBe("tree.parent-not-directory");
});

/** The same rules over a flat map from whole paths, with nothing of a tree in it. */
function flatModel(layers: readonly LayerRecord[]): Map<string, object> | "refused" {
  const nodes = new Map<string, { kind: string; text: string }>([["", { kind: "directory", text: "" }]]);
  const clear = (path: string) => {
    for (const other of nodes.keys()) if (other.startsWith(`${path}/`)) nodes.delete(other);
  };
  for (const one of layers.flatMap(({ entries }) => entries)) {
    const path = `/${one.path}`;
    const parent = path.slice(0, path.lastIndexOf("/"));
    const name = path.slice(parent.length + 1);
    const target = one.kind === "hardlink" ? nodes.get(`/${one.target}`) : undefined;
    if (nodes.get(parent)?.kind !== "directory") return "refused";
    if (one.kind === "hardlink" && (target === undefined || target.kind === "directory")) return "refused";
    if (name === ".wh..wh..opq") clear(parent);
    else if (name.startsWith(".wh.")) {
      clear(`${parent}/${name.slice(4)}`);
      nodes.delete(`${parent}/${name.slice(4)}`);
    } else if (one.kind !== "directory" || nodes.get(path)?.kind !== "directory") {
      clear(path);
      const text = one.kind === "file" && one.content.kind === "inline" ? String(one.content.bytes) : "";
      nodes.set(path, target ?? { kind: one.kind, text });
    }
  }
  nodes.delete("");
  return nodes;
}

const name = fc.constantFrom("a", "b", "c");
const somePath = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
const someEntry: fc.Arbitrary<LayerEntry> = fc.oneof(
  { weight: 5, arbitrary: somePath.map((path) => dir(path)) },
  { weight: 4, arbitrary: fc.tuple(somePath, fc.integer()).map(([path, text]) => file(path, String(text))) },
  { weight: 2, arbitrary: fc.tuple(somePath, somePath).map(([path, target]) => link(path, target)) },
  { weight: 1, arbitrary: somePath.map((path) => file(path.replace(/[abc]$/, ".wh.$&"))) },
  { weight: 1, arbitrary: somePath.map((path) => file(path.replace(/[abc]$/, ".wh..wh..opq"))) },
  { weight: 1, arbitrary: somePath.map((path) => symlink(path, "a")) },
);

test("treeFromLayers() does what a flat model of the rules does, on any layers", () => {
  const stacks = fc.array(
    fc.array(someEntry, { maxLength: 25 }).map((entries) => layer(...entries)),
    { maxLength: 4 },
  );
  let accepted = 0;
  fc.assert(
    fc.property(stacks, (layers) => {
      // Entries that the model refuses are left out, so that long stacks are met, and must be refused.
      const kept: LayerRecord[] = [layer(dir("a"), dir("b"), dir("a/a"), dir("a/b"), dir("b/a"))];
      for (const { entries } of layers) {
        const legal: LayerEntry[] = [];
        for (const one of entries) {
          const candidate = [...kept, layer(...legal, one)];
          if (flatModel(candidate) === "refused") expect(() => treeFromLayers(candidate)).toThrow(FormatError);
          else legal.push(one);
        }
        kept.push(layer(...legal));
      }
      accepted += kept.flatMap(({ entries }) => entries).length;
      const expected = flatModel(kept) as Map<string, { kind: string; text: string }>;
      const tree = treeFromLayers(kept);
      const found = showTree(tree).slice(1);
      expect(found.map((line) => line.split(" ")[0])).toEqual([...expected.keys()].map(String).sort(inTreeOrder));
      for (const [path, node] of expected) {
        const same = [...expected].filter(([, other]) => other === node).map(([other]) => lookup(tree, other));
        expect(new Set(same)).toEqual(new Set([lookup(tree, path)]));
        const leaf = lookup(tree, path);
        expect(leaf?.kind).toBe(node.kind);
        if (leaf?.kind === "file" && leaf.content.kind === "inline") expect(String(leaf.content.bytes)).toBe(node.text);
      }
    }),
    { numRuns: 150 },
  );
  expect(accepted).toBeGreaterThan(500);
});

/** Byte order component by component: `a/b` before `a.c`. */
function inTreeOrder(a: string, b: string): number {
  return byteString(a.replaceAll("/", "\0")) < byteString(b.replaceAll("/", "\0")) ? -1 : 1;
}
