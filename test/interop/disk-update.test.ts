/** Disks that are updated, as other people's tools and our own verification see them. */
import { hash, randomBytes } from "node:crypto";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildDisk } from "../../src/actions/disk/build-disk.ts";
import type { DiskOptions, UpdateOptions } from "../../src/actions/disk/options.ts";
import type { DiskUpdate, DiskUpdateReport } from "../../src/actions/disk/update/report.ts";
import { updateDisk } from "../../src/actions/disk/update-disk.ts";
import { inspectDisk } from "../../src/actions/disk-inspect/inspect-disk.ts";
import { generateKeys } from "../../src/actions/keys/generate-keys.ts";
import { sealImage } from "../../src/actions/seal/seal-image.ts";
import { verifyDisk } from "../../src/actions/verify-disk/verify-disk.ts";
import { codeOfAsync } from "../code-of.ts";
import { KERNEL_VERSION, type OsFiles, type SmallOs, writeSmallOs } from "../small-os.ts";
import { run, runApart } from "../tools/disk.ts";

const MIB = 1 << 20;
const SIZES = { espSize: 40 * MIB, rootSize: 64 * MIB };
const NOW = new Date("2026-06-01T00:00:00Z");
const TIME = Date.parse("2026-01-01T00:00:00Z");
const large = Buffer.alloc(3 * MIB + 17, "a file of some MiB, ");

/** A release of the OS: most of it is that of the one before. */
const release = (version: number, files: OsFiles = {}): SmallOs => ({
  files: {
    "usr/lib/os-release": `ID=small\nVERSION_ID=${version}\nPRETTY_NAME="Small OS ${version}"\n`,
    "usr/lib/large": large,
    "usr/lib/release": `what is different in release ${version} and longer than an inode holds inline: an object\n`,
    "etc/machine-id": "",
    "etc/long": "more than sixty-four bytes, which make it an object; and it is copied to the state of the host\n",
    "etc/vendor.conf": `of release ${version}\n`,
    "etc/gone.conf": "removed by the host\n",
    "etc/sub/": "",
    "etc/sub/of-image": "x",
    "var/": "",
    "var/first": `of release ${version}\n`,
    "boot/EFI/": "",
    "boot/EFI/Linux/": "",
    ...files,
  },
});

let directory: string;
let sealed: string[];
let first: string;
let count = 0;
const place = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "disk-update-"));
  await generateKeys({ directory: place("keys"), now: new Date(TIME), randomBytes });
  sealed = [await seal(release(1)), await seal(release(2)), await seal(release(3))];
  first = place("first.raw");
  await buildDisk(sealed[0] as string, { output: first, ...SIZES, hostname: "golden" });
}, 60_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function write(os: SmallOs): Promise<string> {
  const to = `oci:${place(`os-${count++}`)}`;
  await writeSmallOs(to, os);
  return to;
}

async function seal(os: SmallOs): Promise<string> {
  const to = `oci:${place(`sealed-${count++}`)}`;
  const keys = { key: place("keys/db.key"), certificatePath: place("keys/db.crt") };
  await sealImage(await write(os), { to, ...keys, now: NOW });
  return to;
}

const build = async (from: string, options: Partial<DiskOptions> = {}): Promise<string> =>
  (await buildDisk(from, { output: place(`disk-${count++}.raw`), ...SIZES, ...options })).output;

function copy(of: string = first): string {
  const to = place(`copy-${count++}.raw`);
  run("cp", ["--sparse=always", of, to]);
  return to;
}

async function update(disk: string, to: number | string, options: UpdateOptions = {}): Promise<DiskUpdate> {
  const reference = typeof to === "number" ? (sealed[to - 1] as string) : to;
  const report: DiskUpdateReport = await updateDisk(disk, reference, options);
  if (report.update === null) throw new Error("nothing was updated");
  return report.update;
}

/** The file system in a partition of a disk, as a file of its own. */
function partition(path: string, name: string): string {
  const { partitiontable } = JSON.parse(runApart("sfdisk", ["--json", path]).stdout) as {
    partitiontable: { partitions: { name: string; start: number; size: number }[] };
  };
  const found = partitiontable.partitions.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no partition ${name}`);
  const file = `${path}.${name}`;
  const [skip, blocks] = [found.start / 2048, found.size / 2048];
  run("dd", [`if=${path}`, `of=${file}`, "bs=1M", `skip=${skip}`, `count=${blocks}`, "conv=sparse"]);
  return file;
}

const debugfs = (file: string, request: string): string => runApart("debugfs", ["-R", request, file]).stdout;

/** Runs commands on the root file system of a disk, as a host might have changed it. */
function changeRoot(disk: string, commands: readonly string[]): void {
  const root = partition(disk, "root");
  const script = place("script");
  writeFileSync(script, `${commands.join("\n")}\n`);
  run("debugfs", ["-w", "-f", script, root]);
  const start = JSON.parse(runApart("sfdisk", ["--json", disk]).stdout).partitiontable.partitions.at(-1).start / 2048;
  run("dd", [`if=${root}`, `of=${disk}`, "bs=1M", `seek=${start}`, "conv=notrunc"]);
}

/** What every updated disk has to hold for. */
async function requireSound(disk: string): Promise<{ readonly root: string; readonly esp: string }> {
  expect(run("sgdisk", ["-v", disk])).toContain("No problems found");
  const [esp, root] = [partition(disk, "EFI-SYSTEM"), partition(disk, "root")];
  run("fsck.fat", ["-n", esp]);
  run("e2fsck", ["-fn", root]);
  const verdict = await verifyDisk(disk, { certificates: [place("keys/db.crt")], now: NOW });
  expect(verdict.links.filter(({ status }) => status !== "holds")).toEqual([]);
  return { root, esp };
}

describe("a disk with a second deployment", () => {
  let disk: string;
  let updated: DiskUpdate;
  let root: string;
  let esp: string;
  let before: Awaited<ReturnType<typeof inspectDisk>>;
  beforeAll(async () => {
    disk = copy();
    before = await inspectDisk(disk);
    updated = await update(disk, 2);
    ({ root, esp } = await requireSound(disk));
  }, 60_000);

  test("boots the new one first, and the old one second", async () => {
    const { deployments, esp: described } = await inspectDisk(disk);
    const [old] = before.deployments;
    expect(deployments.map(({ first: boots, id }) => [id, boots])).toEqual([
      [updated.deployment.id, true],
      [old?.id, false],
    ]);
    expect(described?.entries.map(({ path, sortKey, uki, version }) => ({ path, sortKey, uki, version }))).toEqual([
      {
        path: "loader/entries/bootc_small-2-1.conf",
        sortKey: "bootc-small-0",
        uki: `EFI/Linux/bootc/bootc_composefs-${updated.deployment.id}.efi`,
        version: "2",
      },
      {
        path: "loader/entries/bootc_small-1-0.conf",
        sortKey: "bootc-small-1",
        uki: `EFI/Linux/bootc/bootc_composefs-${old?.id}.efi`,
        version: "1",
      },
    ]);
    expect(updated).toMatchObject({
      kept: { id: old?.id, entry: "loader/entries/bootc_small-1-0.conf" },
      dropped: [],
      warnings: [],
    });
  });

  test("has every object once, by debugfs and fsverity", () => {
    const dump = place("dump");
    rmSync(dump, { recursive: true, force: true });
    run("mkdir", [dump]);
    run("debugfs", ["-R", `rdump /composefs ${dump}`, root]);
    const objects = readdirSync(join(dump, "composefs/objects"), { recursive: true, encoding: "utf8" }).filter((name) =>
      name.includes("/"),
    );
    const { added, removed, shared } = updated.objects;
    expect(removed).toEqual({ count: 0, size: 0 });
    expect(shared.size).toBeGreaterThan(large.length);
    expect(added.size).toBeLessThan(large.length);
    expect(objects).toHaveLength((before.repository?.objects.count ?? 0) + added.count);
    const paths = objects.map((name) => join(dump, "composefs/objects", name));
    const digests = run("fsverity", ["digest", "--hash-alg=sha512", "--compact", ...paths]);
    expect(digests.trim().split("\n")).toEqual(objects.map((name) => name.replace("/", "")));
    expect(readdirSync(join(dump, "composefs/streams/refs/oci"))).toHaveLength(2);
  });

  test("keeps identifiers, boot loader, /var and /etc of the host", async () => {
    const after = await inspectDisk(disk);
    const identify = ({ guid, partitions }: typeof after) => [
      guid,
      ...partitions.map((one) => [one.guid, one.fileSystem?.uuid, one.fileSystem?.label, one.offset, one.size]),
    ];
    expect(identify(after)).toEqual(identify(before));
    expect(after.esp?.bootLoaders).toEqual(before.esp?.bootLoaders);
    const state = `/state/deploy/${updated.deployment.id}`;
    expect(debugfs(root, "cat /state/os/default/var/first")).toBe("of release 1\n");
    expect(debugfs(root, `cat ${state}/etc/hostname`)).toBe("golden\n");
    expect(debugfs(root, `cat ${state}/etc/vendor.conf`)).toBe("of release 2\n");
    expect(updated.etc).toEqual({ carried: ["hostname"], removed: [] });
    expect(debugfs(root, `stat ${state}/var`)).toContain('Fast link dest: "../../os/default/var"');
    expect(debugfs(root, `cat ${state}/${updated.deployment.id}.origin`)).toContain(
      "container-image-reference=ostree-unverified-image:docker://localhost/image@",
    );
    expect(run("mtype", ["-i", esp, "::loader/loader.conf"])).toBe("timeout 5\n");
  });

  test("is the same bytes again, wherever it is written", async () => {
    const again = copy();
    const output = place(`again-${count++}.raw`);
    await update(again, 2, { output });
    expect(run("cmp", [disk, output])).toBe("");
    expect(run("cmp", [again, first])).toBe("");
    await update(again, 2);
    expect(run("cmp", [disk, again])).toBe("");
  });

  test("is left alone when it boots the image already", async () => {
    const { ino, mtimeMs } = statSync(disk);
    expect(await updateDisk(disk, sealed[1] as string, {})).toMatchObject({ update: null, id: updated.deployment.id });
    expect(statSync(disk)).toMatchObject({ ino, mtimeMs });
  });

  test("drops the oldest with its objects when a third one comes", async () => {
    const third = copy(disk);
    const { dropped, kept, objects } = await update(third, 3);
    expect(dropped).toEqual([before.deployments[0]?.id]);
    expect(kept?.id).toBe(updated.deployment.id);
    expect(objects.removed.count).toBeGreaterThan(4);
    const found = await requireSound(third);
    const described = await inspectDisk(third);
    expect(described.deployments.map(({ id }) => id)).toEqual([described.deployments[0]?.id, updated.deployment.id]);
    expect(described.esp?.ukis).toHaveLength(2);
    expect(described.esp?.entries.map(({ path }) => path)).toEqual([
      "loader/entries/bootc_small-3-1.conf",
      "loader/entries/bootc_small-2-0.conf",
    ]);
    expect(described.repository?.images).toBe(2);
    // The root file system holds what a disk of these two would hold.
    const straight = copy(await build(sealed[1] as string, { hostname: "golden" }));
    await update(straight, 3);
    const objectsOf = (file: string): string => debugfs(file, "ls -p /composefs/streams");
    const names = (text: string): string[] =>
      text
        .split("\n")
        .map((line) => line.split("/")[5] ?? "")
        .sort();
    expect(names(objectsOf(found.root))).toEqual(names(objectsOf(partition(straight, "root"))));
    expect((await inspectDisk(straight)).repository?.objects).toEqual(described.repository?.objects);
  });

  test("boots the image before when it is put on again", async () => {
    const back = copy(disk);
    const { dropped, entry, kept, objects } = await update(back, 1);
    expect([dropped, kept?.id]).toEqual([[], updated.deployment.id]);
    expect(entry).toBe("loader/entries/bootc_small-1-1.conf");
    expect([objects.added.count, objects.removed.count]).toEqual([0, 0]);
    await requireSound(back);
  });
});

test("what the host has changed in /etc is carried over, with owners, modes and attributes", async () => {
  const disk = copy();
  const { deployments } = await inspectDisk(disk);
  const etc = `/state/deploy/${deployments[0]?.id}/etc`;
  writeFileSync(place("mine"), "mine\n");
  changeRoot(disk, [
    `cd ${etc}`,
    `rm gone.conf`,
    `rm vendor.conf`,
    `write ${place("mine")} vendor.conf`,
    "sif vendor.conf mode 0100600",
    "sif vendor.conf uid 7",
    `mkdir local`,
    `cd local`,
    `write ${place("mine")} file`,
    "ea_set file user.note kept",
    `symlink link file`,
    `ln file ${etc}/again`,
    "sif file links_count 2",
    `cd ${etc}`,
    "mknod device c 1 3",
  ]);
  const { deployment, etc: merged } = await update(disk, 2);
  expect(merged).toEqual({
    carried: ["again", "hostname", "local/", "local/file", "local/link", "vendor.conf"],
    removed: ["gone.conf"],
  });
  const { root } = await requireSound(disk);
  const state = `/state/deploy/${deployment.id}/etc`;
  expect(debugfs(root, `cat ${state}/vendor.conf`)).toBe("mine\n");
  expect(debugfs(root, `stat ${state}/vendor.conf`)).toMatch(/Mode: +0600[^]*User: +7 /);
  expect(debugfs(root, `ea_get ${state}/local/file user.note`)).toContain("kept");
  expect(debugfs(root, `stat ${state}/local/file`)).toContain("Links: 2");
  expect(debugfs(root, `stat ${state}/local/link`)).toContain('Fast link dest: "file"');
  expect(debugfs(root, `ls ${state}`)).not.toMatch(/device|gone/);
  expect(debugfs(root, `cat ${etc}/vendor.conf`)).toBe("mine\n");
}, 60_000);

test("a directory of the host in the place of a file of the image is a conflict, and nothing is written", async () => {
  const disk = copy();
  const { deployments } = await inspectDisk(disk);
  const etc = `/state/deploy/${deployments[0]?.id}/etc`;
  changeRoot(disk, [`rm ${etc}/vendor.conf`, `mkdir ${etc}/vendor.conf`]);
  const before = copy(disk);
  expect(await codeOfAsync(() => update(disk, 2))).toBe("disk.update.etc-conflict");
  expect(run("cmp", [disk, before])).toBe("");
});

test("a disk in qcow2 is updated as the raw one is", async () => {
  const qcow2 = place("disk.qcow2");
  run("qemu-img", ["convert", "-O", "qcow2", first, qcow2]);
  const raw = copy();
  await update(raw, 2);
  await update(qcow2, 2);
  run("qemu-img", ["check", "-f", "qcow2", qcow2]);
  expect(run("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", raw, qcow2])).toContain("Images are identical");
});

test("a disk grows when it is asked to, with its root partition and file system", async () => {
  const disk = copy();
  const { partitions } = await update(disk, 2, { size: 320 * MIB });
  expect(statSync(disk).size).toBe(320 * MIB);
  expect(partitions.at(-1)).toMatchObject({ name: "root", size: (320 - 1 - 1 - 1 - 40) * MIB });
  const { root } = await requireSound(disk);
  expect(run("dumpe2fs", ["-h", root])).toMatch(/Block count: +70912\n/);
  const { dropped, kept } = await update(disk, 2, { size: 330 * MIB });
  expect([dropped, kept?.id]).toEqual([[], (await inspectDisk(first)).deployments[0]?.id]);
  await requireSound(disk);
}, 60_000);

test("files of others on ESP, root file system and between partitions stay as they are", async () => {
  const disk = copy();
  const espAt = 2 * MIB;
  writeFileSync(place("seed"), randomBytes(512));
  run("mcopy", ["-m", "-i", `${disk}@@${espAt}`, place("seed"), "::/loader/random-seed"]);
  run("mmd", ["-i", `${disk}@@${espAt}`, "::/efi/linux/OTHER"]);
  run("mcopy", ["-i", `${disk}@@${espAt}`, place("seed"), "::/efi/linux/OTHER/Kept.File"]);
  run("dd", [`if=${place("seed")}`, `of=${disk}`, "bs=1", "count=440", "conv=notrunc"]);
  run("dd", [`if=${place("seed")}`, `of=${disk}`, "bs=512", "seek=2100", "conv=notrunc"]);
  const sparse = place("sparse");
  run("dd", ["if=/dev/urandom", `of=${sparse}`, "bs=4096", "count=1", "seek=5000"]);
  changeRoot(disk, [
    "cd /state/os/default/var",
    `write ${sparse} sparse`,
    "mknod fifo p",
    "mknod device b 8 1",
    "sif first flags 0x80010",
    "sif first mtime 20300101000000",
    "ea_set first user.note kept",
  ]);
  const before = partition(disk, "root");
  const stat = debugfs(before, "stat /state/os/default/var/first");
  await update(disk, 2);
  const { root } = await requireSound(disk);
  for (const path of ["loader/random-seed", "EFI/Linux/OTHER/Kept.File"]) {
    run("mcopy", ["-o", "-i", `${disk}@@${espAt}`, `::/${path}`, place("out")]);
    expect(readFileSync(place("out")).equals(readFileSync(place("seed"))), path).toBe(true);
  }
  expect(run("cmp", ["-n", "440", disk, place("seed")])).toBe("");
  expect(run("cmp", ["-n", "512", `--ignore-initial=${2100 * 512}:0`, disk, place("seed")])).toBe("");
  run("debugfs", ["-R", `dump /state/os/default/var/sparse ${place("out")}`, root]);
  expect(run("cmp", [place("out"), sparse])).toBe("");
  expect(debugfs(root, "stat /state/os/default/var/sparse")).toMatch(/Blockcount: 8\n/);
  const after = debugfs(root, "stat /state/os/default/var/first");
  for (const fact of [/Flags: \S+/, /mtime: .*/, /Mode: +\d+/, /user.note.*/]) {
    expect(fact.exec(after)?.[0]).toBe(fact.exec(stat)?.[0]);
  }
  expect(debugfs(root, "ls -l /state/os/default/var")).toMatch(/ 60000 \(4\) [^\n]* device/);
}, 60_000);

test("a disk that other people's tools made is updated, too", async () => {
  const { makeSealedDisk } = await import("../tools/sealed-disk.ts");
  const at = mkdtempSync(join(directory, "theirs-"));
  const theirs = await makeSealedDisk(at);
  const { dropped, kept, objects, warnings } = await update(theirs.path, 2, {});
  expect([dropped, kept?.id]).toEqual([[], theirs.id]);
  expect(objects.shared.count).toBeGreaterThan(2);
  expect(objects.removed).toEqual({ count: 0, size: 0 });
  expect(warnings.map(({ code }) => code)).toEqual(["disk.update.not-collected"]);
  expect(run("sgdisk", ["-v", theirs.path])).toContain("No problems found");
  run("e2fsck", ["-fn", partition(theirs.path, "root")]);
  const certificates = [theirs.certificate, place("keys/db.crt")];
  expect((await verifyDisk(theirs.path, { certificates, now: NOW })).holds).toBe(true);
}, 60_000);

describe("unsealed disks", () => {
  const kargs = (text: string): OsFiles => ({ "usr/lib/bootc/kargs.d/10-base.toml": `kargs = [${text}]\n` });
  let unsealed: string;
  beforeAll(async () => {
    unsealed = await build(await write(release(1, kargs('"rw", "quiet", "splash"'))), {
      kernelArguments: ["console=ttyS0", "quiet"],
      allowMissingVerity: true,
    });
  });

  test("keep the arguments that are none of the image's", async () => {
    const disk = copy(unsealed);
    const { deployment } = await update(disk, await write(release(2, kargs('"rw", "panic=1"'))), {
      kernelArguments: ["debug"],
    });
    const esp = partition(disk, "EFI-SYSTEM");
    expect(run("mtype", ["-i", esp, "::loader/entries/bootc_small-2-1.conf"])).toContain(
      `options rw console=ttyS0 quiet debug composefs=?${deployment.id} panic=1\n`,
    );
    expect(run("mdir", ["-b", "-i", esp, "::EFI/Linux"]).match(/bootc_composefs-/g)).toHaveLength(2);
    run("e2fsck", ["-fn", partition(disk, "root")]);
  });

  test("become sealed ones, which tells of the arguments that are left", async () => {
    const disk = copy(unsealed);
    const { warnings } = await update(disk, 2);
    expect(warnings.map(({ code }) => code)).toEqual(["disk.update.kargs-left"]);
    expect(warnings[0]?.message).toContain("(console=ttyS0 quiet)");
  });

  test("come to be by no update", async () => {
    const disk = copy();
    const { mtimeMs } = statSync(disk);
    expect(await codeOfAsync(async () => update(disk, await write(release(2))))).toBe("disk.update.unsealed");
    expect(statSync(disk).mtimeMs).toBe(mtimeMs);
  });
});

test("another manifest of the same tree takes the place of the first one, and the second deployment stays", async () => {
  const disk = copy();
  await update(disk, 2);
  const [current, old] = (await inspectDisk(disk)).deployments;
  const { deployment, dropped, kept, objects } = await update(disk, relabelled(sealed[1] as string));
  expect([deployment.id, kept?.id, dropped]).toEqual([current?.id, old?.id, []]);
  expect(objects).toMatchObject({ added: { count: 4 }, removed: { count: 4 } });
  const { deployments, esp } = await inspectDisk(disk);
  expect(esp?.ukis).toHaveLength(2);
  expect(deployments[0]?.origin?.manifestDigest).not.toBe(current?.origin?.manifestDigest);
  await requireSound(disk);
});

/** The same layers under another config. */
function relabelled(reference: string): string {
  const layout = place(`relabelled-${count++}`);
  run("cp", ["-r", reference.replace("oci:", ""), layout]);
  const blobPath = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
  const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));
  const put = (json: unknown): { digest: string; size: number } => {
    const bytes = Buffer.from(JSON.stringify(json));
    const digest = `sha256:${hash("sha256", bytes, "hex")}`;
    writeFileSync(blobPath(digest), bytes);
    return { digest, size: bytes.length };
  };
  const index = read(join(layout, "index.json"));
  const manifest = read(blobPath(index.manifests[0].digest));
  const config = read(blobPath(manifest.config.digest));
  config.config.Labels.again = "yes";
  Object.assign(manifest.config, put(config));
  Object.assign(index.manifests[0], put(manifest));
  writeFileSync(join(layout, "index.json"), JSON.stringify(index));
  return `oci:${layout}`;
}

test("an object that lost its fs-verity is written anew", async () => {
  const disk = copy();
  const listing = debugfs(partition(disk, "root"), "ls -p /composefs/objects");
  const prefix = /^\/\d+\/040755\/0\/0\/([0-9a-f]{2})\//m.exec(listing)?.[1] ?? "";
  const name = /^\/\d+\/100644\/0\/0\/([0-9a-f]+)\//m.exec(
    debugfs(partition(disk, "root"), `ls -p /composefs/objects/${prefix}`),
  )?.[1];
  const { shared } = (await update(copy(), 1, { size: 400 * MIB })).objects;
  changeRoot(disk, [`sif /composefs/objects/${prefix}/${name} flags 0x80000`]);
  const { objects } = await update(disk, 1, { size: 400 * MIB });
  expect([objects.added.count, objects.shared.count]).toEqual([1, shared.count - 1]);
  await requireSound(disk);
}, 60_000);

type Refusal = [
  what: string,
  change: (disk: string) => unknown,
  UpdateOptions & { readonly to?: SmallOs },
  code: string,
];

test.each<Refusal>([
  [
    "an image for another architecture",
    () => {},
    { to: { ...release(2), architecture: "arm64" } },
    "disk.update.architecture",
  ],
  ["a disk that would shrink", () => {}, { size: 64 * MIB }, "disk.update.size"],
  ["half a sector", () => {}, { size: 400 * MIB + 100 }, "disk.size-unit"],
  ["a directory", () => {}, {}, "disk.source-not-image"],
  [
    "a journal that has to be replayed",
    (disk) => changeRoot(disk, ["feature needs_recovery"]),
    {},
    "ext4.needs-recovery",
  ],
  ["a file system with errors", (disk) => changeRoot(disk, ["ssv state 3"]), {}, "disk.root.not-clean"],
  ["a file system with quotas", (disk) => changeRoot(disk, ["feature quota"]), {}, "disk.root.quotas"],
  [
    "a disk without entries",
    (disk) => run("mdel", ["-i", `${disk}@@${2 * MIB}`, "::/loader/entries/bootc_small-1-1.conf"]),
    {},
    "disk.update.no-deployment",
  ],
  [
    "a disk whose image is another one",
    async (disk) => {
      const [deployment] = (await inspectDisk(disk)).deployments;
      const id = deployment?.id ?? "";
      changeRoot(disk, [`cd /composefs/objects/${id.slice(0, 2)}`, `sif ${id.slice(2)} size 4096`]);
    },
    {},
    "disk.image.digest-mismatch",
  ],
  ["a repository of SHA-256", (disk) => replaceMeta(disk), {}, "disk.meta.algorithm-differs"],
  ["a root partition that is full", (disk) => fillRoot(disk), {}, "disk.root-too-small"],
])("updateDisk() refuses %s and leaves the disk as it was", async (name, change, { to, ...options }, code) => {
  const disk = copy();
  await change(disk);
  const before = copy(disk);
  const reference = name === "a directory" ? "dir:/" : to === undefined ? 2 : await write(to);
  expect(await codeOfAsync(() => update(disk, reference, options))).toBe(code);
  expect(run("cmp", [disk, before])).toBe("");
  expect(readdirSync(directory).filter((file) => file.endsWith(".tmp"))).toEqual([]);
});

function replaceMeta(disk: string): void {
  writeFileSync(place("meta"), '{ "version": 1, "algorithm": "fsverity-sha256-12" }\n');
  changeRoot(disk, ["cd /composefs", "rm meta.json", `write ${place("meta")} meta.json`]);
}

function fillRoot(disk: string): void {
  const root = partition(disk, "root");
  const free = Number(/Free blocks: +(\d+)/.exec(run("dumpe2fs", ["-h", root]))?.[1]);
  run("dd", ["if=/dev/urandom", `of=${place("full")}`, "bs=4096", `count=${free - 20}`]);
  changeRoot(disk, ["cd /state/os/default/var", `write ${place("full")} full`]);
}

test("updateDisk() refuses an ESP that is too small for two", async () => {
  const initramfs = { [`usr/lib/modules/${KERNEL_VERSION}/initramfs.img`]: randomBytes(3 * MIB) };
  const disk = await build(await write(release(1, initramfs)), { espSize: 5 * MIB });
  const next = await write(release(2, initramfs));
  expect(await codeOfAsync(() => update(disk, next))).toBe("disk.esp-too-small");
});

test("updateDisk() leaves the disk as it was when it is interrupted", async () => {
  for (const at of ["disk.write", "disk.copy"]) {
    const disk = copy();
    const abort = new AbortController();
    const progress = ({ step }: { step: string }): void => void (step === at && abort.abort());
    expect(await codeOfAsync(() => update(disk, 2, { signal: abort.signal, progress }))).toBe("interrupted");
    expect(run("cmp", [disk, first])).toBe("");
    expect(readdirSync(directory).filter((file) => file.endsWith(".tmp"))).toEqual([]);
  }
});

test("updateDisk() replaces the disk behind a link, and refuses an output that is there", async () => {
  const disk = copy();
  symlinkSync(disk, place("link"));
  expect(await codeOfAsync(() => update(disk, 2, { output: first }))).toBe("output.exists");
  await update(place("link"), 2);
  expect(existsSync(place("link"))).toBe(true);
  expect((await inspectDisk(disk)).deployments).toHaveLength(2);
  expect(
    readdirSync(directory, { withFileTypes: true })
      .find(({ name }) => name === "link")
      ?.isSymbolicLink(),
  ).toBe(true);
});

test("the default of loader.conf comes before the order of entries, which is told", async () => {
  const disk = copy();
  writeFileSync(place("loader.conf"), "default bootc_small-1-*\n");
  run("mcopy", ["-o", "-i", `${disk}@@${2 * MIB}`, place("loader.conf"), "::/loader/loader.conf"]);
  const { warnings } = await update(disk, 2);
  expect(warnings.map(({ code }) => code)).toEqual(["disk.update.not-first"]);
});
