/** Blocks of ext4 changed in place, judged by e2fsck and debugfs. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ext4Patch, findInode, openExt4, patchEntry, patchVerityAway } from "../../src/formats/ext4/index.ts";
import { memorySource } from "../../src/lib/bytes/byte-source.ts";
import { byteString } from "../../src/lib/bytes/byte-string.ts";
import { codeOf } from "../code-of.ts";
import { run } from "../tools/disk.ts";
import { verityCommands, withVerity } from "../tools/sealed-disk.ts";

const directory = mkdtempSync(join(tmpdir(), "ext4-patch-"));
afterAll(() => rmSync(directory, { recursive: true }));

const image = join(directory, "image");
const CONTENT = Buffer.alloc(5000, "sealed ");
/** Enough names for several blocks and an index. */
const names = Array.from({ length: 200 }, (_, index) => `${index}`.padStart(120, "n"));
const last = names.at(-1) as string;

beforeAll(() => {
  const stage = join(directory, "stage");
  mkdirSync(join(stage, "objects"), { recursive: true });
  for (const name of names) writeFileSync(join(stage, "objects", name), name);
  writeFileSync(join(stage, "objects", last), withVerity(CONTENT, "sha512"));
  run("mke2fs", ["-q", "-t", "ext4", "-b", "4096", "-O", "verity", "-d", stage, image, "16M"]);
  run("debugfs", ["-w", "-f", "-", image], `${verityCommands(`/objects/${last}`, CONTENT.length).join("\n")}\n`);
  run("e2fsck", ["-fyD", image]);
});

/** Applies a change to a copy of the image. e2fsck sees what is odd about it now, but every checksum has to be right. */
function changed(make: (volume: ReturnType<typeof openExt4>) => Ext4Patch): string {
  const bytes = load();
  const patch = make(openExt4(memorySource(bytes)));
  bytes.set(patch.bytes, patch.offset);
  const path = join(directory, "changed");
  writeFileSync(path, bytes);
  expect(run("sh", ["-c", `e2fsck -fn "$1" || test $? -eq 4`, "sh", path])).not.toMatch(/checksum/i);
  return path;
}

/** No Buffer: the slice of one is no copy. */
const load = (): Uint8Array => Uint8Array.from(readFileSync(image));

const debugfs = (path: string, command: string): string => run("debugfs", ["-R", command, path]);
const object = byteString(`objects/${last}`);
const inoOf = (volume: ReturnType<typeof openExt4>, path: string): number =>
  findInode(volume, byteString(path))?.ino ?? 0;

test("patchVerityAway() leaves a file that is as it was, without fs-verity", () => {
  expect(debugfs(image, `stat /objects/${last}`)).toMatch(/Flags: 0x180000/);
  const path = changed((volume) => patchVerityAway(volume, inoOf(volume, object)));
  expect(debugfs(path, `stat /objects/${last}`)).toMatch(/Flags: 0x80000/);
});

test("patchEntry() gives a file another name", () => {
  const other = `${last.slice(0, -1)}~`;
  const path = changed((volume) => {
    const parent = findInode(volume, byteString("objects"));
    return patchEntry(volume, parent as NonNullable<typeof parent>, byteString(last), { name: byteString(other) });
  });
  const listed = debugfs(path, "ls -p /objects");
  expect([listed.includes(`/${last}/`), listed.includes(`/${other}/`)]).toEqual([false, true]);
});

test("patchEntry() lets a name lead to another file, and refuses a name that is not there", () => {
  const volume = openExt4(memorySource(load()));
  const parent = findInode(volume, byteString("objects")) as NonNullable<ReturnType<typeof findInode>>;
  const target = inoOf(volume, `objects/${names[3]}`);
  const patch = patchEntry(volume, parent, byteString(names[7] as string), { ino: target });
  const bytes = load();
  bytes.set(patch.bytes, patch.offset);
  expect(inoOf(openExt4(memorySource(bytes)), `objects/${names[7]}`)).toBe(target);
  expect(codeOf(() => patchEntry(volume, parent, byteString("absent"), { ino: 1 }))).toBe("ext4.patch.no-entry");
});
