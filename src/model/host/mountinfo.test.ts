import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { findBootedRoot } from "./booted-root.ts";
import { findMount, isReadOnly, parseMountinfo } from "./mountinfo.ts";

const line = (id: number, parent: number, place: string, rest = "- tmpfs tmpfs rw", options = "rw"): string =>
  `${id} ${parent} 0:${id} / ${place} ${options} ${rest}\n`;

test("parseMountinfo() reads fields, optional ones or none, and blanks in names", () => {
  const [mount] = parseMountinfo(
    "36 35 98:0 /a\\040b /mnt\\011x rw,noatime shared:1 master:2 - ext3 /dev/r\\134oot rw,errors=continue\n",
  );
  expect(mount).toEqual({
    id: 36,
    parent: 35,
    device: "98:0",
    subtree: "/a b",
    mountPoint: "/mnt\tx",
    options: ["rw", "noatime"],
    type: "ext3",
    source: "/dev/r\\oot",
    superOptions: ["rw", "errors=continue"],
  });
  expect(parseMountinfo(line(1, 0, "/"))[0]?.type).toBe("tmpfs");
});

describe("parseMountinfo() refuses", () => {
  test.each([
    ["a line that is cut", "36 35 98:0 / /mnt"],
    ["a line without type", "36 35 98:0 / /mnt rw"],
    ["an id that is no number", "x 35 98:0 / /mnt rw - ext3 root rw"],
  ])("%s", (_, text) => {
    expect(codeOf(() => parseMountinfo(text))).toBe("host.mountinfo");
  });
});

test("parseMountinfo() gives mounts or a refusal, whatever it reads, and findMount() ends", () => {
  const word = fc.constantFrom("36", "-", "/", "/usr", "rw", "ro,x", "\\040", "", "x");
  const line = fc.array(word, { maxLength: 12 }).map((words) => words.join(" "));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
      expect(codeOf(() => findMount(parseMountinfo(lines.join("\n")), "/usr/bin"))).toMatch(
        /^(?:accepted|host\.mountinfo)$/,
      );
    }),
  );
});

describe("findMount() finds", () => {
  const mounts = parseMountinfo(
    [
      line(1, 0, "/"),
      line(2, 1, "/usr"),
      line(3, 2, "/usr/bin"),
      // Covers 2 and with it 3.
      line(4, 2, "/usr"),
      line(5, 1, "/user"),
      line(6, 1, "/var/lib"),
      line(7, 1, "/", "- overlay top rw"),
    ].join(""),
  );
  test.each([
    ["the topmost root", "/", 7],
    ["nothing below a root that is covered", "/usr/bin", 7],
  ])("%s", (_, path, id) => {
    expect(findMount(mounts, path)?.id).toBe(id);
  });

  test.each([
    ["/", 1],
    ["/usr", 4],
    ["/usr/bin/sh", 4],
    ["/user", 5],
    ["/use", 1],
    ["/var/lib/dpkg", 6],
    ["/var", 1],
  ])("for %s the mount %i where the root is not covered", (path, id) => {
    expect(findMount(mounts.slice(0, -1), path)?.id).toBe(id);
  });

  test("an end in mounts that are their own parents", () => {
    const circle = parseMountinfo(line(1, 0, "/") + line(2, 3, "/a") + line(3, 2, "/a") + line(4, 4, "/a"));
    expect(findMount(circle, "/a")?.id).toBe(1);
    expect(findMount([], "/")).toBeUndefined();
  });
});

test("isReadOnly() looks at the mount and at its file system", () => {
  const options = ["rw - ext4 a rw", "ro - ext4 a rw", "rw - ext4 a ro"].map((text) => {
    const [mount = "", rest = ""] = text.split(" - ");
    return isReadOnly(parseMountinfo(line(1, 0, "/", `- ${rest}`, mount))[0]!);
  });
  expect(options).toEqual([false, true, true]);
});

test.each([
  ["- overlay composefs:ab12 ro,verity=require", { digestHex: "ab12", transient: false, verityRequired: true }],
  ["- overlay composefs:ab12 ro", { digestHex: "ab12", transient: false, verityRequired: false }],
  ["- overlay transient:composefs=ab12 rw", { digestHex: "ab12", transient: true, verityRequired: false }],
  ["- ext4 composefs:ab12 ro,verity=require", { digestHex: undefined, transient: false, verityRequired: true }],
  ["- overlay overlay rw", { digestHex: undefined, transient: false, verityRequired: false }],
])("findBootedRoot() of %s", (rest, expected) => {
  expect(findBootedRoot(parseMountinfo(line(1, 0, "/", rest)))).toMatchObject(expected);
});
