import { describe, expect, test } from "vitest";
import {
  encodeTarEntry,
  TAR_END,
  type TarEntry,
  type TarItem,
  TarStream,
  tarPadding,
} from "../../formats/tar/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { DEBIAN_LAYERS, layerOf } from "./layers.ts";
import { splitIntoLayers } from "./split.ts";

const meta = { mode: 0o755, uid: 0, gid: 0, mtimeSec: 100n, mtimeNsec: 0, xattrs: new Map<ByteString, ByteString>() };
const directory = (path: string, more: Partial<TarEntry> = {}): TarEntry =>
  ({ ...meta, kind: "directory", path: byteString(path), ...more }) as TarEntry;
const file = (path: string, text: string, more: Partial<TarEntry> = {}): [TarEntry, string] => [
  { ...meta, kind: "file", path: byteString(path), size: text.length, ...more } as TarEntry,
  text,
];
const link = (path: string, target: string): TarEntry => ({
  ...meta,
  kind: "hardlink",
  path: byteString(path),
  target: byteString(target),
});

function tarOf(entries: readonly (TarEntry | [TarEntry, string])[]): Uint8Array {
  const parts = entries.flatMap((item) => {
    if (!Array.isArray(item)) return [encodeTarEntry(item)];
    const [entry, text] = item;
    return [encodeTarEntry(entry), Buffer.from(text), tarPadding(text.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

async function split(tar: Uint8Array, chunkSize = tar.length) {
  async function* chunks() {
    for (let at = 0; at < tar.length; at += chunkSize) yield tar.subarray(at, at + chunkSize);
  }
  const parts: Uint8Array[][] = DEBIAN_LAYERS.map(() => []);
  await splitIntoLayers(chunks(), { layers: DEBIAN_LAYERS, newest: 200n }, async (layer, bytes) => {
    parts[layer]?.push(Buffer.from(bytes));
  });
  return parts.map((part) => Buffer.concat(part));
}

function entriesOf(tar: Uint8Array): { entry: TarEntry; text: string }[] {
  const found: { entry: TarEntry; text: string }[] = [];
  const stream = new TarStream({
    entry: ({ entry }: TarItem) => found.push({ entry, text: "" }),
    content: (bytes) => {
      const last = found.at(-1);
      if (last !== undefined) last.text += Buffer.from(bytes).toString();
    },
  });
  stream.push(tar);
  stream.end();
  return found;
}

const pathsOf = (tar: Uint8Array): string[] => entriesOf(tar).map(({ entry }) => entry.path);

const SYSTEM = [
  directory("./"),
  directory("./dev/"),
  directory("./dev/pts/"),
  directory("./etc/"),
  file("./etc/passwd", "root"),
  directory("./usr/"),
  directory("./usr/bin/"),
  file("./usr/bin/true", "x".repeat(1000)),
  directory("./usr/lib/"),
  directory("./usr/lib/modules/"),
  directory("./usr/lib/modules/6.12/"),
  file("./usr/lib/modules/6.12/initramfs.img", "cpio"),
  file("./usr/lib/modules/6.12/vmlinuz", "MZ"),
];

describe("splitIntoLayers()", () => {
  test("gives every layer each directory on the way to its entries, once", async () => {
    const [base, kernel, configuration] = await split(tarOf(SYSTEM));
    expect(pathsOf(base as Buffer)).toEqual(["dev/", "usr/", "usr/bin/", "usr/bin/true", "usr/lib/"]);
    expect(pathsOf(kernel as Buffer)).toEqual([
      "usr/",
      "usr/lib/",
      "usr/lib/modules/",
      "usr/lib/modules/6.12/",
      "usr/lib/modules/6.12/vmlinuz",
    ]);
    expect(pathsOf(configuration as Buffer)).toEqual([
      "etc/",
      "etc/passwd",
      "usr/",
      "usr/lib/",
      "usr/lib/modules/",
      "usr/lib/modules/6.12/",
      "usr/lib/modules/6.12/initramfs.img",
    ]);
  });

  test("gives the same bytes however the archive is cut into chunks", async () => {
    const tar = tarOf(SYSTEM);
    const whole = await split(tar);
    for (const size of [1, 511, 512, 700, 4096]) expect(await split(tar, size)).toEqual(whole);
    expect(entriesOf(whole[0] as Buffer).find(({ entry }) => entry.path === "usr/bin/true")?.text).toHaveLength(1000);
  });

  test("makes times whole and no newer than asked for, and keeps no attribute but file capabilities", async () => {
    const xattrs = new Map([
      [byteString("security.capability"), byteString("cap")],
      [byteString("user.note"), byteString("note")],
    ]);
    const [base] = await split(
      tarOf([
        file("old", "", { mtimeSec: 150n, mtimeNsec: 5 }),
        file("new", "", { mtimeSec: 201n, mtimeNsec: 5, xattrs }),
      ]),
    );
    const [old, recent] = entriesOf(base as Buffer).map(({ entry }) => entry);
    expect(old).toMatchObject({ mtimeSec: 150n, mtimeNsec: 0 });
    expect(recent).toMatchObject({ mtimeSec: 200n, mtimeNsec: 0 });
    expect([...(recent as TarEntry).xattrs]).toEqual([["security.capability", "cap"]]);
  });

  test("puts a hard link into the layer of its target", async () => {
    const [base, , configuration] = await split(
      tarOf([directory("bin/"), file("bin/tool", "1"), directory("etc/"), link("etc/tool", "./bin/tool")]),
    );
    expect(pathsOf(base as Buffer)).toEqual(["bin/", "bin/tool", "etc/", "etc/tool"]);
    expect(entriesOf(base as Buffer).at(-1)?.entry).toMatchObject({ kind: "hardlink", target: "bin/tool" });
    expect(pathsOf(configuration as Buffer)).toEqual(["etc/"]);
  });

  test.each([
    ["a file without its directory", [file("usr/bin/true", "")], "debian-image.parent.undeclared"],
    ["a path that climbs", [directory("usr/../etc/")], "debian-image.path.malformed"],
    ["an absolute path", [directory("/usr/")], "debian-image.path.malformed"],
  ])("refuses %s", async (_, entries, code) => {
    await expect(split(tarOf(entries))).rejects.toMatchObject({ code });
  });

  test("refuses an archive that ends too early", async () => {
    const tar = tarOf(SYSTEM);
    await expect(split(tar.subarray(0, 3000))).rejects.toMatchObject({ code: "tar.archive.truncated" });
  });
});

describe("layerOf()", () => {
  test.each([
    ["usr/bin/ls", "base"],
    ["usr/lib/modules", "kernel"],
    ["usr/lib/modules-load.d/x.conf", "base"],
    ["usr/lib/modules/6.12/initramfs.img", "configuration"],
    ["usr/lib/modules/6.12/kernel/fs/initramfs.img", "kernel"],
    ["etc", "configuration"],
    ["etcetera", "base"],
    ["usr/lib/tmpfiles.d/sealed-image-packages.conf", "configuration"],
    ["usr/lib/tmpfiles.d/var.conf", "base"],
  ])("places %s in %s", (path, layer) => {
    expect(DEBIAN_LAYERS[layerOf(DEBIAN_LAYERS, path)]?.name).toBe(layer);
  });
});
