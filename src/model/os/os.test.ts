import { expect, test } from "vitest";
import { entry, layer } from "../../../test/layers.ts";
import type { LayerEntry } from "../layer/entry.ts";
import { treeFromLayers } from "../tree/apply.ts";
import type { Tree } from "../tree/tree.ts";
import {
  ARCHITECTURES,
  type Architecture,
  checkOs,
  findArchitecture,
  findBootFiles,
  findBootLoader,
  findKernel,
  findOsRelease,
  findPrepareRoot,
  findUkis,
  listKargsFiles,
  parseOsRelease,
} from "./index.ts";

const { file, symlink } = entry;
const x64 = ARCHITECTURES[0] as Architecture;

/** A tree of these entries, with every directory that they need. */
function treeOf(...entries: LayerEntry[]): Tree {
  const parents = entries.flatMap(({ path }) =>
    path.split("/").map((_, depth, names) => names.slice(0, depth).join("/")),
  );
  const directories = [...new Set(parents)].filter((path) => path !== "").sort();
  return treeFromLayers([layer(...directories.map((path) => entry.dir(path)), ...entries)]);
}

const codes = ({ problems }: { readonly problems: readonly { readonly code: string }[] }) =>
  problems.map(({ code }) => code);

const vmlinuz = (version: string) => file(`usr/lib/modules/${version}/vmlinuz`);
const initramfs = (version: string) => file(`usr/lib/modules/${version}/initramfs.img`);

test("findKernel() finds the raw kernel and its initrd, and ignores leftover module directories", () => {
  const tree = treeOf(vmlinuz("6.12"), initramfs("6.12"), file("usr/lib/modules/6.1/modules.dep"));
  expect(findKernel(tree)).toMatchObject({
    kernel: {
      unified: false,
      version: "6.12",
      vmlinuz: { path: "/usr/lib/modules/6.12/vmlinuz" },
      initramfs: { path: "/usr/lib/modules/6.12/initramfs.img" },
    },
    problems: [],
  });
});

test("findKernel() prefers a UKI to raw kernels, and the first of several by bytes of the name", () => {
  const raw = [vmlinuz("6.12"), vmlinuz("6.13")];
  const one = findKernel(treeOf(file("boot/EFI/Linux/6.12.efi"), file("boot/EFI/Linux/README"), ...raw));
  expect(one).toMatchObject({ kernel: { unified: true, version: "6.12" }, problems: [] });
  const two = findKernel(treeOf(file("boot/EFI/Linux/b.efi"), file("boot/EFI/Linux/B.efi")));
  expect(two).toMatchObject({ kernel: { unified: true, version: "B" }, problems: [{ code: "uki.several" }] });
});

test.each<[string, LayerEntry[], string[]]>([
  ["an empty tree", [], ["kernel.none"]],
  ["a kernel where Debian puts it", [file("boot/vmlinuz-6.12")], ["kernel.none"]],
  ["two raw kernels", [vmlinuz("6.12"), vmlinuz("6.13")], ["kernel.several"]],
  ["a kernel without initrd", [vmlinuz("6.12")], ["kernel.initramfs-missing"]],
  ["a link for a kernel", [symlink("usr/lib/modules/6.12/vmlinuz", "/boot/vmlinuz")], ["kernel.not-file"]],
  ["a link for a UKI", [symlink("boot/EFI/Linux/a.efi", "b.efi")], ["kernel.not-file"]],
])("findKernel() names the problem of %s", (_, entries, expected) => {
  expect(codes(findKernel(treeOf(...entries)))).toEqual(expected);
});

test("findKernel() says where Debian's kernel has to go", () => {
  const { problems } = findKernel(treeOf(file("boot/vmlinuz-6.12")));
  expect(problems[0]?.hint).toContain("move /boot/vmlinuz-6.12 to /usr/lib/modules/VERSION/vmlinuz");
});

test("findBootFiles() lists what an installer finds, in its order", () => {
  const tree = treeOf(
    vmlinuz("6.12"),
    file("usr/lib/modules/6.12/sub/k.efi"),
    file("boot/loader/addons/all.addon.efi"),
    file("boot/EFI/Linux/6.12.efi"),
    file("boot/EFI/Linux/6.12.efi.extra.d/debug.addon.efi"),
    file("boot/loader/entries/old.conf"),
    file("boot/loader/entries/README"),
  );
  expect(findBootFiles(tree).files.map(({ kind, name, path }) => [kind, name, path])).toEqual([
    ["entry", "old.conf", "/boot/loader/entries/old.conf"],
    ["uki", "6.12.efi", "/boot/EFI/Linux/6.12.efi"],
    ["uki-addon", "6.12.efi.extra.d/debug.addon.efi", "/boot/EFI/Linux/6.12.efi.extra.d/debug.addon.efi"],
    ["global-addon", "all.addon.efi", "/boot/loader/addons/all.addon.efi"],
    ["uki", "sub/k.efi", "/usr/lib/modules/6.12/sub/k.efi"],
    ["vmlinuz", "vmlinuz", "/usr/lib/modules/6.12/vmlinuz"],
  ]);
  expect(findUkis(tree).map(({ kind }) => kind)).toEqual(["uki", "uki-addon", "global-addon", "uki"]);
  expect(findBootFiles(tree).files.at(-1)?.version).toBe("6.12");
});

test("findBootFiles() reports names that promise a file and are none", () => {
  const tree = treeOf(symlink("boot/EFI/Linux/deep/a.efi", "x"), symlink("boot/loader/entries/e.conf", "x"));
  expect(findBootFiles(tree).problems.map(({ code, path }) => [code, path])).toEqual([
    ["kernel.not-file", "/boot/loader/entries/e.conf"],
    ["kernel.not-file", "/boot/EFI/Linux/deep/a.efi"],
  ]);
});

const sealable: readonly LayerEntry[] = [
  vmlinuz("6.12"),
  initramfs("6.12"),
  file("usr/lib/systemd/boot/efi/systemd-bootx64.efi"),
  file("usr/lib/systemd/boot/efi/linuxx64.efi.stub"),
  file("usr/lib/os-release", "ID=debian\n"),
  file("usr/lib/ostree/prepare-root.conf"),
  file("etc/hostname"),
  file("boot/.keep"),
  file("sysroot/.keep"),
  file("usr/sbin/init"),
];

test("checkOs() has nothing to say about a tree that can be sealed", () => {
  expect(checkOs(treeOf(...sealable), x64)).toEqual([]);
});

const without = (path: string) => sealable.filter((one) => one.path !== path);

test.each<[string, readonly LayerEntry[], string[]]>([
  ["no /sysroot", without("sysroot/.keep"), ["image.directory-missing"]],
  ["a UKI", [...sealable, file("boot/EFI/Linux/6.12.efi")], ["image.already-sealed"]],
  ["a boot loader entry", [...sealable, file("boot/loader/entries/a.conf")], ["image.boot-entry-present"]],
  ["no boot loader", without("usr/lib/systemd/boot/efi/systemd-bootx64.efi"), ["image.systemd-boot-missing"]],
  [
    "a boot loader of Debian's beside",
    [...sealable, file("usr/lib/systemd/boot/efi/systemd-bootx64.efi.signed")],
    ["image.systemd-boot-signed-twice"],
  ],
  ["no stub", without("usr/lib/systemd/boot/efi/linuxx64.efi.stub"), ["image.stub-missing"]],
  ["bootupd", [...sealable, file("usr/bin/bootupctl")], ["image.bootupd-present"]],
  ["no os-release", without("usr/lib/os-release"), ["image.os-release-missing"]],
  ["no prepare-root.conf", without("usr/lib/ostree/prepare-root.conf"), ["image.prepare-root-missing"]],
  ["a /usr/etc", [...sealable, file("usr/etc/hostname")], ["image.usr-etc-present"]],
  ["no init", without("usr/sbin/init"), ["image.init-missing"]],
  ["a link for a UKI, once", [...sealable, symlink("boot/EFI/Linux/a.efi", "b")], ["kernel.not-file"]],
])("checkOs() names the problem of %s", (_, entries, expected) => {
  expect(codes({ problems: checkOs(treeOf(...entries), x64) })).toEqual(expected);
});

test("findBootLoader() looks for the programs of one architecture", () => {
  const tree = treeOf(...sealable, file("usr/lib/systemd/boot/efi/addonaa64.efi.stub"));
  expect(Object.keys(findBootLoader(tree, x64))).toEqual(["systemdBoot", "stub"]);
  expect(findBootLoader(tree, ARCHITECTURES[1] as Architecture)).toMatchObject({
    addonStub: { path: "/usr/lib/systemd/boot/efi/addonaa64.efi.stub" },
  });
});

test.each([
  ["amd64", "x64"],
  ["x86_64", "x64"],
  [0x8664, "x64"],
  ["arm64", "aa64"],
  ["aarch64", "aa64"],
  [0xaa64, "aa64"],
  ["s390x", undefined],
])("findArchitecture(%s) is %s", (name, expected) => {
  expect(findArchitecture(name)?.efi).toBe(expected);
});

test("files with two places are taken from the one that counts", () => {
  const both = treeOf(
    file("etc/os-release", "a"),
    file("usr/lib/os-release", "b"),
    file("etc/ostree/prepare-root.conf"),
    file("usr/lib/ostree/prepare-root.conf"),
  );
  expect(findOsRelease(both)?.path).toBe("/usr/lib/os-release");
  expect(findPrepareRoot(both)?.path).toBe("/etc/ostree/prepare-root.conf");
  expect(findOsRelease(treeOf(symlink("etc/os-release", "../usr/lib/os-release")))).toBeUndefined();
});

test("listKargsFiles() gives regular .toml files in byte order", () => {
  const names = ["20-b.toml", "10-a.toml", "README", "B.toml"].map((name) => file(`usr/lib/bootc/kargs.d/${name}`));
  const tree = treeOf(...names, symlink("usr/lib/bootc/kargs.d/30.toml", "10-a.toml"));
  expect(listKargsFiles(tree).map(({ path }) => path.split("/").at(-1))).toEqual(["10-a.toml", "20-b.toml", "B.toml"]);
});

test.each([
  ['ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13"\n', "debian", "13", "Debian GNU/Linux 13"],
  ["# c\nID='a b'\nNAME=x\n", "a b", undefined, "x"],
  ["", "linux", undefined, "linux"],
  ['PRETTY_NAME="a \\"b\\" \\$c"', "linux", undefined, 'a "b" $c'],
])("parseOsRelease(%j)", (text, id, versionId, name) => {
  const release = parseOsRelease(Buffer.from(text));
  expect([release.id, release.versionId, release.name]).toEqual([id, versionId, name]);
});
