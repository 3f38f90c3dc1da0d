import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { entry, layer, meta, xattrs } from "../../../test/layers.ts";
import { byteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import type { LayerEntry } from "../../model/layer/entry.ts";
import { treeFromLayers } from "../../model/tree/apply.ts";
import { type Metadata, makeDevice } from "../../model/tree/tree.ts";
import { parseCapabilities } from "./capabilities.ts";
import { compareTrees } from "./compare-trees.ts";
import { isSameContent } from "./content.ts";
import { reportFiles, reportPrivileges } from "./entries.ts";
import { reportUnits } from "./units.ts";

const treeOf = (entries: readonly LayerEntry[]) => treeFromLayers([layer(entry.dir("/"), ...entries)]);
const compare = (a: readonly LayerEntry[], b: readonly LayerEntry[]) =>
  compareTrees(treeOf(a), treeOf(b), (one, other) => isSameContent(one, other, "sha512"));

const external = (path: string, size: number, seed: number, given: Partial<Metadata> = {}): LayerEntry => ({
  kind: "file",
  path: byteString(path),
  content: { kind: "external", size: BigInt(size), digests: { sha512: new Uint8Array(64).fill(seed) } },
  meta: meta(given),
});

const { char, dir, fifo, file, link, symlink } = entry;

describe("compareTrees()", () => {
  test.each<[string, LayerEntry[], LayerEntry[], string[]]>([
    [
      "nothing in equal trees",
      [dir("d"), file("d/f", "x"), symlink("l", "d")],
      [symlink("l", "d"), dir("d"), file("d/f", "x")],
      [],
    ],
    ["what was added", [], [dir("d"), file("d/f")], ["/d added", "/d/f added"]],
    ["what was removed", [dir("d"), fifo("d/f")], [], ["/d removed", "/d/f removed"]],
    ["other inline content", [file("f", "a")], [file("f", "b")], ["/f content"]],
    ["other external content", [external("f", 100, 1)], [external("f", 100, 2)], ["/f content"]],
    ["another size", [file("f", "a")], [external("f", 100, 2)], ["/f content"]],
    ["another mode", [file("f", "", { mode: 0o644 })], [file("f", "", { mode: 0o600 })], ["/f mode"]],
    ["another mode of a directory", [dir("d")], [dir("d", { mode: 0o700 })], ["/d mode"]],
    ["another owner", [file("f")], [file("f", "", { gid: 5 })], ["/f owner"]],
    [
      "other xattrs",
      [file("f", "", { xattrs: xattrs({ "user.a": "1" }) })],
      [file("f", "", { xattrs: xattrs({ "user.a": "2" }) })],
      ["/f xattrs"],
    ],
    ["another target", [symlink("l", "a")], [symlink("l", "b")], ["/l target"]],
    ["another device", [char("c", 1)], [char("c", 2)], ["/c device"]],
    ["another type", [file("f", "a")], [symlink("f", "a")], ["/f type"]],
    ["another time", [file("f")], [file("f", "", { mtimeNsec: 1 })], ["/f mtime"]],
    ["a second name", [file("f")], [file("f"), link("g", "f")], ["/f links", "/g added"]],
    [
      "names that no longer are one file",
      [file("f"), link("g", "f")],
      [file("f"), file("g")],
      ["/f links", "/g links"],
    ],
    ["a directory that became a file", [dir("d"), file("d/f")], [file("d")], ["/d type", "/d/f removed"]],
    ["a file that became a directory", [file("d")], [dir("d"), file("d/f")], ["/d type", "/d/f added"]],
    [
      "names in byte order, directories first",
      [],
      [file("b"), dir("a"), file("a/z"), file("a-b"), file("\u00e4")],
      ["/a added", "/a/z added", "/a-b added", "/b added", "/ä added"],
    ],
  ])("finds %s", (_, a, b, expected) => {
    const { changes } = compare(a, b);
    const shown = changes.map(({ after, aspects, before, path }) =>
      [path, ...(before === undefined ? ["added"] : after === undefined ? ["removed"] : aspects)].join(" "),
    );
    expect(shown).toEqual(expected);
  });

  test("sums sizes by directory and counts a file with several names once", () => {
    const a = [dir("a"), external("a/f", 1000, 1), link("a/g", "a/f"), dir("b"), external("b/same", 7, 9)];
    const b = [
      dir("a"),
      external("a/f", 400, 2),
      dir("b"),
      external("b/same", 7, 9),
      dir("c"),
      external("c/new", 50, 3),
    ];
    expect(compare(a, b).sizes).toEqual([
      { path: "/", before: 1007, after: 457 },
      { path: "/a", before: 1000, after: 400 },
      { path: "/c", before: 0, after: 50 },
    ]);
  });

  test("sums the size of a directory that became a file", () => {
    const { sizes } = compare([dir("d"), external("d/f", 1000, 1)], [external("d", 70, 2)]);
    expect(sizes[0]).toEqual({ path: "/", before: 1000, after: 70 });
  });
});

describe("reportFiles()", () => {
  const report = (a: readonly LayerEntry[], b: readonly LayerEntry[], times = false) => {
    const { changes, ...names } = compare(a, b);
    return reportFiles(changes, { ...names, algorithm: "sha512", times });
  };

  test("counts what only has another time, and lists it when asked", () => {
    const [a, b] = [
      [file("f"), file("g")],
      [file("f", "", { mtimeSec: 9n }), file("g", "x", { mtimeSec: 9n })],
    ];
    expect(report(a, b)).toMatchObject({
      added: 0,
      removed: 0,
      changed: 1,
      timesOnly: 1,
      aspects: { content: 1, mtime: 2 },
    });
    expect(report(a, b).changes.map(({ path }) => path)).toEqual(["/g"]);
    expect(report(a, b, true).changes.map(({ aspects, path }) => [path, aspects])).toEqual([
      ["/f", ["mtime"]],
      ["/g", ["content", "mtime"]],
    ]);
  });

  test("gives the facts of both sides", () => {
    const a = [external("f", 70, 1, { mode: 0o4755, uid: 3, mtimeSec: -1n, mtimeNsec: 5 }), link("g", "f")];
    const b = [char("f", makeDevice(8, 300)), symlink("g", "f")];
    expect(report(a, b).changes).toEqual([
      {
        path: "/f",
        change: "changed",
        aspects: ["type"],
        before: {
          kind: "file",
          mode: "4755",
          uid: 3,
          gid: 0,
          mtime: "-1.000000005",
          size: 70,
          object: "01".repeat(64),
          names: ["/f", "/g"],
        },
        after: { kind: "char", mode: "0644", uid: 0, gid: 0, mtime: "0.000000000", device: "8:300" },
      },
      expect.objectContaining({ path: "/g", after: expect.objectContaining({ target: "f" }) as unknown }),
    ]);
  });
});

/** cap_net_raw=ep, revision 2. */
const NET_RAW = bytesToByteString(Buffer.from("0100000200200000000000000000000000000000", "hex"));
const withCapability = { xattrs: new Map([[byteString("security.capability"), NET_RAW]]) };

describe("reportPrivileges()", () => {
  test.each<[string, LayerEntry[], LayerEntry[], unknown[]]>([
    [
      "a program that gains setuid",
      [file("p", "", { mode: 0o755 })],
      [file("p", "", { mode: 0o4755 })],
      [{ change: "changed", contentChanged: false, before: { setuid: false }, after: { setuid: true, mode: "4755" } }],
    ],
    [
      "a new setgid program",
      [],
      [file("p", "", { mode: 0o2755, gid: 5 })],
      [{ change: "added", after: { setgid: true, gid: 5 } }],
    ],
    [
      "a setuid program with other content",
      [file("p", "a", { mode: 0o4755 })],
      [file("p", "b", { mode: 0o4755 })],
      [{ contentChanged: true }],
    ],
    [
      "a program that loses its capability",
      [file("p", "", withCapability)],
      [file("p")],
      [{ before: { capabilities: { text: "cap_net_raw=ep" } } }],
    ],
    ["a removed program", [file("p", "", withCapability)], [], [{ change: "removed" }]],
    [
      "nothing where only a time differs",
      [file("p", "", { mode: 0o4755 })],
      [file("p", "", { mode: 0o4755, mtimeSec: 1n })],
      [],
    ],
    ["nothing of directories and ordinary files", [dir("d")], [dir("d", { mode: 0o2775 }), file("f")], []],
  ])("tells of %s", (_, a, b, expected) => {
    const found = reportPrivileges(compare(a, b).changes);
    expect(found).toHaveLength(expected.length);
    expect(found).toMatchObject(expected);
  });
});

describe("parseCapabilities()", () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "capabilities-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each([
    "cap_net_raw=ep",
    "cap_net_admin,cap_net_raw=eip",
    "cap_sys_admin,cap_checkpoint_restore=p",
    "cap_chown=i",
    "cap_setuid=i cap_setgid=ip",
  ])("reads %s as getcap does", (text) => {
    const path = join(directory, "program");
    writeFileSync(path, "");
    execFileSync("setcap", [text, path]);
    const said = execFileSync("getcap", [path], { encoding: "utf8" }).trim().replaceAll("+", "=").split(" ").slice(1);
    const value = execFileSync("getfattr", ["-n", "security.capability", "--only-values", path], { stdio: "pipe" });
    expect(parseCapabilities(bytesToByteString(value)).text.split(" ").toSorted()).toEqual(said.toSorted());
  });

  test.each([
    ["", "0x"],
    ["0100000200", "0x0100000200"],
    ["0100000900200000000000000000000000000000", "0x0100000900200000000000000000000000000000"],
    ["0100000300200000000000000000000000000000e8030000", "cap_net_raw=ep [rootid=1000]"],
    ["01000002000000000000000000000000", "0x01000002000000000000000000000000"],
    ["0000000200000000000000000000008000000000", "cap_63=p"],
  ])("shows %s as %s", (hex, text) => {
    expect(parseCapabilities(bytesToByteString(Buffer.from(hex, "hex"))).text).toBe(text);
  });
});

test.each<[string, LayerEntry, object]>([
  ["a unit", file("usr/lib/systemd/system/a.service"), { unit: "a.service", scope: "system", kind: "unit" }],
  ["a unit of users", file("usr/lib/systemd/user/a.timer"), { unit: "a.timer", scope: "user", kind: "unit" }],
  ["a drop-in", file("etc/systemd/system/a.service.d/x.conf"), { unit: "a.service", kind: "drop-in" }],
  [
    "an enablement",
    symlink("etc/systemd/system/multi-user.target.wants/a.service", "/usr/lib/systemd/system/a.service"),
    { unit: "a.service", kind: "enablement", by: "multi-user.target.wants" },
  ],
  ["a mask", symlink("etc/systemd/system/a.service", "/dev/null"), { unit: "a.service", kind: "mask" }],
  [
    "an alias",
    symlink("usr/lib/systemd/system/dbus.service", "dbus-broker.service"),
    { unit: "dbus.service", kind: "alias", target: "dbus-broker.service" },
  ],
  [
    "a preset",
    file("usr/lib/systemd/system-preset/90-x.preset"),
    { unit: "90-x.preset", scope: "system", kind: "preset" },
  ],
])("reportUnits() tells of %s", (_, added, expected) => {
  const parts = added.path.split("/").slice(0, -1);
  const parents = parts.map((_part, index) => dir(parts.slice(0, index + 1).join("/")));
  expect(reportUnits(compare(parents, [...parents, added]).changes)).toEqual([
    expect.objectContaining({ ...expected, change: "added", path: `/${added.path}` }),
  ]);
  expect(reportUnits(compare([...parents, added], parents).changes)).toEqual([
    expect.objectContaining({ change: "removed" }),
  ]);
});

test("reportUnits() leaves out other files of systemd", () => {
  const parents = ["usr", "usr/lib", "usr/lib/systemd", "usr/lib/systemd/system"].map((path) => dir(path));
  const others = ["usr/lib/systemd/systemd", "usr/lib/systemd/system/README"].map((path) => file(path));
  expect(reportUnits(compare(parents, [...parents, ...others]).changes)).toEqual([]);
});
