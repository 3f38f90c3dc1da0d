import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { run } from "../../../test/tools/disk.ts";
import { copyDisk, debugfs, makeSealedDisk, putOnEsp, type SealedDisk } from "../../../test/tools/sealed-disk.ts";
import { inspectDisk } from "./inspect-disk.ts";

let directory: string;
let sealed: SealedDisk;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-disk-"));
  sealed = await makeSealedDisk(directory);
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("inspectDisk() tells what other tools wrote", async () => {
  const report = await inspectDisk(sealed.path);
  expect(report).toMatchObject({
    format: "raw",
    size: 130 << 20,
    partitions: [
      {
        number: 1,
        name: "EFI-SYSTEM",
        typeName: "EFI system",
        offset: 1 << 20,
        fileSystem: { type: "fat32", label: "EFI-SYSTEM" },
      },
      {
        number: 2,
        name: "root",
        typeName: "root, x86-64",
        size: 64 << 20,
        fileSystem: { type: "ext4", label: "root", verity: true },
      },
    ],
    esp: {
      timeout: "5",
      bootLoaders: [
        { path: "EFI/BOOT/BOOTX64.EFI", version: "262-1", signers: ["CN=Secure Boot db"] },
        { path: "EFI/systemd/systemd-bootx64.efi" },
      ],
      entries: [{ path: sealed.entry, title: "Small OS 1", sortKey: "bootc-small-0", uki: sealed.uki, first: true }],
      ukis: [
        {
          path: sealed.uki,
          kernel: "6.12.0-test",
          os: "Small OS 1",
          digests: [sealed.id],
          signers: ["CN=Secure Boot db"],
        },
      ],
      addons: [],
      keys: [],
    },
    deployments: [
      { id: sealed.id, first: true, entries: [sealed.entry], image: true, etc: true, var: "../../os/default/var" },
    ],
    repository: {
      algorithm: "sha512",
      erofsFormat: 1,
      secure: true,
      objects: { count: 11, withoutVerity: 0 },
      images: 1,
      streams: 1,
    },
    problems: [],
  });
});

test("inspectDisk() has the identifiers and free space that blkid, sfdisk, mdir and dumpe2fs tell", async () => {
  const { guid, partitions } = await inspectDisk(sealed.path);
  const [esp, root] = partitions;
  const table = JSON.parse(run("sfdisk", ["--json", sealed.path])).partitiontable;
  expect([guid, esp?.guid, root?.guid]).toEqual(
    [table.id, table.partitions[0].uuid, table.partitions[1].uuid].map((uuid: string) => uuid.toLowerCase()),
  );
  const said = run("dumpe2fs", ["-h", `${sealed.path}?offset=${root?.offset}`]);
  expect(root?.fileSystem?.uuid).toBe(/Filesystem UUID: +(\S+)/.exec(said)?.[1]);
  expect(root?.fileSystem?.free).toBe(4096 * Number(/Free blocks: +(\d+)/.exec(said)?.[1]));
  const listing = run("mdir", ["-i", `${sealed.path}@@${esp?.offset}`, "::"]);
  expect(listing).toContain(esp?.fileSystem?.uuid);
  expect(esp?.fileSystem?.free).toBe(Number(/([\d ]+) bytes free/.exec(listing)?.[1]?.replaceAll(" ", "")));
});

test("inspectDisk() orders entries as systemd-boot does, and marks the one of loader.conf", async () => {
  const disk = copyDisk(sealed, join(directory, "changed.raw"));
  putOnEsp(disk, "loader/entries/a-10.conf", "title Bare\nlinux /vmlinuz\noptions composefs=?0\n");
  putOnEsp(
    disk,
    "loader/entries/bootc_small-0-0.conf",
    `title Small OS 0\nversion 0\nuki /${sealed.uki}\nsort-key bootc-small-1\n`,
  );
  putOnEsp(disk, "EFI/Linux/small.efi", await sealed.buildUki("rw"));
  putOnEsp(disk, "loader/loader.conf", "timeout menu-force\ndefault bootc_small-0*\n");
  putOnEsp(disk, "loader/keys/auto/db.auth", "x");
  const { esp, problems, deployments } = await inspectDisk(disk);
  expect(esp?.entries.map(({ first, path }) => [path.split("/").at(-1), first])).toEqual([
    ["bootc_small-1-1.conf", false],
    ["bootc_small-0-0.conf", true],
    ["small.efi", false],
    ["a-10.conf", false],
  ]);
  expect(esp).toMatchObject({
    timeout: "menu-force",
    defaultPattern: "bootc_small-0*",
    keys: ["loader/keys/auto/db.auth"],
  });
  expect(deployments[0]?.entries).toHaveLength(2);
  expect(problems).toEqual([]);
});

test("inspectDisk() goes on where something cannot be read", async () => {
  const disk = copyDisk(sealed, join(directory, "changed.raw"));
  putOnEsp(disk, sealed.uki, "MZ");
  debugfs(disk, ["rm /composefs/meta.json", "symlink /composefs/images/x /etc/passwd"]);
  const { esp, problems, repository } = await inspectDisk(disk);
  expect(problems.map(({ code }) => code)).toEqual(["pe.truncated", "disk.link.stray"]);
  expect(esp?.ukis).toEqual([]);
  expect(repository).toMatchObject({ secure: false, images: 1 });
});

test("inspectDisk() refuses what has no partition table", async () => {
  expect(await codeOfAsync(() => inspectDisk(sealed.certificate))).toMatch(/^gpt\./);
});

const sealwright = (...args: string[]) => spawnSync("node", ["bin/sealwright.cjs", ...args], { encoding: "utf8" });

test("sealwright disk inspect shows a disk, and its control characters as text", () => {
  const disk = copyDisk(sealed, join(directory, "changed.raw"));
  putOnEsp(disk, sealed.entry, `title Small \u001b[31mOS\nuki /${sealed.uki}\n`);
  const { stdout } = sealwright("disk", "inspect", disk);
  expect(stdout).toContain("-> loader/entries/bootc_small-1-1.conf");
  expect(stdout).toContain("Small \\x1b[31mOS");
  expect(JSON.parse(sealwright("disk", "inspect", disk, "--json").stdout)).toMatchObject({ disk, problems: [] });
});

test("sealwright verify knows a disk by its bytes, and by its name", () => {
  const qcow2 = join(directory, "disk.qcow2");
  execFileSync("qemu-img", ["convert", "-O", "qcow2", sealed.path, qcow2]);
  for (const reference of [sealed.path, qcow2, `disk:${sealed.path}`]) {
    const { status, stdout } = sealwright("verify", reference, "--cert", sealed.certificate);
    expect([status, stdout.includes("every link holds")]).toEqual([0, true]);
  }
  const stranger = join(directory, "stranger/db.crt");
  const { status, stdout } = sealwright("verify", sealed.path, "--cert", stranger, "--json");
  expect(status).toBe(80);
  expect(JSON.parse(stdout)).toMatchObject({ holds: false, disk: sealed.path });
  expect(sealwright("verify", sealed.path, "--cert", stranger, "--format", "v1-sha512").status).toBe(64);
});
