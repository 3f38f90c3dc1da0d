/** Disks as other people's tools see them. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildDisk } from "../../src/actions/disk/build-disk.ts";
import type { DiskFormat, DiskOptions } from "../../src/actions/disk/options.ts";
import type { DiskReport } from "../../src/actions/disk/report.ts";
import { inspectDisk } from "../../src/actions/disk-inspect/inspect-disk.ts";
import { generateKeys } from "../../src/actions/keys/generate-keys.ts";
import { sealImage } from "../../src/actions/seal/seal-image.ts";
import { verifyDisk } from "../../src/actions/verify-disk/verify-disk.ts";
import { parseSplitStream, readSplitStream } from "../../src/formats/splitstream/index.ts";
import { codeOfAsync } from "../code-of.ts";
import { KERNEL_VERSION, type SmallOs, tarLayer, writeSmallOs } from "../small-os.ts";
import { run, runApart } from "../tools/disk.ts";

const MIB = 1 << 20;
const NOW = new Date("2026-06-01T00:00:00Z");
const large = Buffer.alloc(3 * MIB + 17, "a file of some MiB, ");

const OS: SmallOs = {
  files: {
    "etc/.updated": "",
    "etc/machine-id": "",
    "etc/long": "more than sixty-four bytes, which make it an object; and it is copied to the state of the host\n",
    "usr/lib/large": large,
    "usr/lib/empty": "",
    "var/": "",
    "var/lib/": "",
    "var/lib/first": "what a host starts with, in more than the sixty-four bytes that are stored in an image itself\n",
    "boot/EFI/": "",
    "boot/EFI/Linux/": "",
  },
  layers: [{ "usr/bin/hello": `${"another hello ".repeat(10)}\n`, "usr/lib/large-again": large }],
};

let directory: string;
let sealed: string;
let disk: string;
let built: DiskReport;
let count = 0;
const place = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "disk-build-"));
  await generateKeys({ directory: place("keys"), now: new Date("2026-01-01T00:00:00Z"), randomBytes });
  sealed = await seal(OS);
  disk = place("disk.raw");
  built = await buildDisk(sealed, { output: disk, espSize: 64 * MIB, enrollKeys: place("keys") });
}, 60_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function seal(os: SmallOs): Promise<string> {
  const [from, to] = [`oci:${place(`os-${count}`)}`, `oci:${place(`sealed-${count++}`)}`];
  await writeSmallOs(from, os);
  await sealImage(from, { to, key: place("keys/db.key"), certificatePath: place("keys/db.crt"), now: NOW });
  return to;
}

const build = (options: Partial<DiskOptions> = {}, from = sealed): Promise<DiskReport> =>
  buildDisk(from, { output: place(`disk-${count++}`), espSize: 64 * MIB, ...options });

/** The file system in a partition of a disk, as a file of its own. */
function partition(path: string, name: string, report: DiskReport = built): string {
  const found = report.partitions.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no partition ${name}`);
  const file = `${path}.${name}`;
  run("dd", [
    `if=${path}`,
    `of=${file}`,
    "bs=1M",
    `skip=${found.offset / MIB}`,
    `count=${found.size / MIB}`,
    "conv=sparse",
  ]);
  return file;
}

/** What debugfs prints of a file system, without its banner. */
const debugfs = (file: string, request: string): string => runApart("debugfs", ["-R", request, file]).stdout;

test("sgdisk and sfdisk find no fault in the table, and the types are those of a bootc disk", () => {
  expect(run("sgdisk", ["-v", disk])).toContain("No problems found");
  expect(run("sfdisk", ["--verify", disk])).toContain("No errors detected");
  const { partitiontable } = JSON.parse(run("sfdisk", ["--json", disk])) as {
    partitiontable: { partitions: { name: string; type: string }[] };
  };
  expect(partitiontable.partitions.map(({ name, type }) => [name, type])).toEqual([
    ["BIOS-BOOT", "21686148-6449-6E6F-744E-656564454649"],
    ["EFI-SYSTEM", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"],
    ["root", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"],
  ]);
});

test("fsck.fat and mtools find boot loader, UKI, entry and keys on the ESP", () => {
  const esp = partition(disk, "EFI-SYSTEM");
  run("fsck.fat", ["-n", esp]);
  const { id } = built.deployment;
  const files = run("mdir", ["-/", "-b", "-i", esp])
    .trim()
    .split("\n")
    .filter((line) => !line.endsWith("/"));
  expect(files.sort()).toEqual(
    [
      "::/EFI/BOOT/BOOTX64.EFI",
      `::/EFI/Linux/bootc/bootc_composefs-${id}.efi`,
      "::/EFI/systemd/systemd-bootx64.efi",
      "::/loader/entries.srel",
      "::/loader/entries/bootc_small-1-1.conf",
      "::/loader/keys/auto/KEK.auth",
      "::/loader/keys/auto/PK.auth",
      "::/loader/keys/auto/db.auth",
      "::/loader/loader.conf",
    ].sort(),
  );
  expect(run("mtype", ["-i", esp, "::loader/entries/bootc_small-1-1.conf"])).toBe(
    [
      "title Small OS 1",
      "version 1",
      `uki /EFI/Linux/bootc/bootc_composefs-${id}.efi`,
      "sort-key bootc-small-0",
      "",
    ].join("\n"),
  );
  const copy = place("uki.efi");
  run("mcopy", ["-o", "-i", esp, `::EFI/Linux/bootc/bootc_composefs-${id}.efi`, copy]);
  expect(run("sbverify", ["--cert", place("keys/db.crt"), copy])).toContain("Signature verification OK");
  expect(run("mtype", ["-i", esp, "::loader/keys/auto/PK.auth"]).length).toBeGreaterThan(500);
});

describe("the root file system", () => {
  let root: string;
  let repository: string;
  beforeAll(() => {
    root = partition(disk, "root");
    mkdirSync(place("dump"));
    run("debugfs", ["-R", `rdump /composefs ${place("dump")}`, root]);
    repository = place("dump/composefs");
  });

  test("is clean for e2fsck, with fs-verity and a label", () => {
    run("e2fsck", ["-fn", root]);
    const said = run("dumpe2fs", ["-h", root]);
    expect(said).toMatch(/Filesystem features:.*\bverity\b/);
    expect(said).toMatch(/Filesystem volume name: +root\n/);
  });

  test("has objects whose digests, by fsverity, are their names", () => {
    const objects = readdirSync(join(repository, "objects"), { recursive: true, encoding: "utf8" }).filter((name) =>
      name.includes("/"),
    );
    expect(objects).toHaveLength(built.objects.count);
    const digests = run("fsverity", [
      "digest",
      "--hash-alg=sha512",
      "--compact",
      ...objects.map((name) => join(repository, "objects", name)),
    ]);
    expect(digests.trim().split("\n")).toEqual(objects.map((name) => name.replace("/", "")));
    for (const name of [...objects.map((object) => `objects/${object}`), "meta.json"]) {
      expect(debugfs(root, `stat /composefs/${name}`), name).toContain("Flags: 0x180000");
    }
  });

  test("links the image and the streams, and tags the manifest as bootc does", () => {
    const { id } = built.deployment;
    const link = (path: string): string => {
      const fast = /Fast link dest: "(.*)"/.exec(debugfs(root, `stat ${path}`))?.[1];
      return fast ?? debugfs(root, `cat ${path}`);
    };
    expect(link(`/composefs/images/${id}`)).toBe(`../objects/${id.slice(0, 2)}/${id.slice(2)}`);
    expect(link(`/composefs/streams/refs/oci/localhost%2Fbootc-${built.manifestDigest}`)).toBe(
      `../../oci-manifest-${built.manifestDigest}`,
    );
    expect(link("/ostree/bootc")).toBe("../composefs/bootc");
    expect(link(`/state/deploy/${id}/var`)).toBe("../../os/default/var");
    expect(JSON.parse(readFileSync(join(repository, "meta.json"), "utf8"))).toMatchObject({
      algorithm: "fsverity-sha512-12",
      erofs_formats: { default: 1 },
    });
  });

  test("has streams that give the layers, byte for byte", async () => {
    const layout = sealed.replace("oci:", "");
    const blob = (digest: string): Buffer => readFileSync(join(layout, "blobs", digest.replace(":", "/")));
    const manifest = JSON.parse(blob(built.manifestDigest).toString());
    const config = JSON.parse(blob(manifest.config.digest).toString());
    const object = (digest: Uint8Array): Buffer => {
      const hex = Buffer.from(digest).toString("hex");
      return readFileSync(join(repository, "objects", hex.slice(0, 2), hex.slice(2)));
    };
    const stream = (id: string) => parseSplitStream(readFileSync(join(repository, "streams", id)));
    const original = (id: string): Buffer =>
      Buffer.concat(
        [...readSplitStream(stream(id))].map((chunk) => ("inline" in chunk ? chunk.inline : object(chunk.object))),
      );
    for (const [index, diffId] of (config.rootfs.diff_ids as string[]).entries()) {
      const tar = await unpack(blob(manifest.layers[index].digest));
      expect(original(`oci-layer-${diffId}`).equals(tar)).toBe(true);
      expect(stream(`oci-layer-${diffId}`)).toMatchObject({ contentType: "ocilayer", size: tar.length });
    }
    expect(original(`oci-config-${manifest.config.digest}`)).toEqual(blob(manifest.config.digest));
    expect(original(`oci-manifest-${built.manifestDigest}`)).toEqual(blob(built.manifestDigest));
    const refs = [...stream(`oci-config-${manifest.config.digest}`).namedRefs];
    expect(new Set(refs.map(([name]) => name))).toEqual(
      new Set([...config.rootfs.diff_ids, "composefs.image.boot.v1"]),
    );
    expect(Buffer.from(new Map(refs).get("composefs.image.boot.v1") ?? []).toString("hex")).toBe(built.deployment.id);
  });

  test("has the state of a deployment: /etc and /var of the image, and the origin", () => {
    const state = `/state/deploy/${built.deployment.id}`;
    const cat = (path: string): string => debugfs(root, `cat ${path}`);
    expect(cat(`${state}/etc/long`)).toBe(OS.files?.["etc/long"]);
    expect(cat(`${state}/etc/hostname`)).toBe("small\n");
    expect(cat("/state/os/default/var/lib/first")).toBe(OS.files?.["var/lib/first"]);
    expect(debugfs(root, `ls ${state}/etc`)).not.toContain(".updated");
    expect(debugfs(root, `stat ${state}/etc/long`)).toContain("Flags: 0x80000");
    expect(cat(`${state}/${built.deployment.id}.origin`)).toBe(
      [
        "[origin]",
        `container-image-reference=ostree-unverified-image:docker://localhost/image@${built.manifestDigest}`,
        "",
        "[boot]",
        "boot_type=uki",
        `digest=${built.deployment.bootDigest}`,
        "",
        "[image]",
        `manifest_digest=${built.manifestDigest}`,
        "",
      ].join("\n"),
    );
  });
});

async function unpack(blob: Buffer): Promise<Buffer> {
  const { gunzipSync } = await import("node:zlib");
  return blob[0] === 0x1f ? gunzipSync(blob) : blob;
}

test("the same image and options give the same bytes, with or without the layer cache, wherever the image is", async () => {
  run("cp", ["-r", sealed.replace("oci:", ""), place("moved")]);
  for (const from of [sealed, sealed, `oci:${place("moved")}`]) {
    const { output } = await build({ enrollKeys: place("keys"), cacheDirectory: place("cache") }, from);
    expect(run("cmp", [disk, output])).toBe("");
    rmSync(output);
  }
  const random = await build({ enrollKeys: place("keys"), randomBytes });
  expect(run("sgdisk", ["-p", random.output])).not.toBe(run("sgdisk", ["-p", disk]));
  run("e2fsck", ["-fn", partition(random.output, "root", random)]);
});

test.each<[DiskFormat, string]>([
  ["qcow2", "qcow2"],
  ["vmdk", "vmdk"],
  ["vhd", "vpc"],
])("qemu-img reads %s as the raw disk", async (format, name) => {
  const { output } = await build({ format, enrollKeys: place("keys") });
  if (format !== "vhd") run("qemu-img", ["check", "-f", name, output]);
  expect(run("qemu-img", ["compare", "-f", "raw", "-F", name, disk, output])).toContain("Images are identical");
});

test("tar and zstd unpack the compressed formats", async () => {
  const zst = await build({ format: "raw.zst", enrollKeys: place("keys") });
  run("zstd", ["-q", "-d", "-o", place("from-zst"), zst.output]);
  expect(run("cmp", [disk, place("from-zst")])).toBe("");
  const gce = await build({ format: "gce", enrollKeys: place("keys") });
  mkdirSync(place("gce"));
  run("tar", ["-xzf", gce.output, "-C", place("gce")]);
  const raw = place("gce/disk.raw");
  expect(run("sgdisk", ["-v", raw])).toContain("No problems found");
  const { offset, size } = built.partitions.at(-1) as DiskReport["partitions"][number];
  expect(run("cmp", [`--ignore-initial=${MIB}`, `--bytes=${offset + size - MIB}`, disk, raw])).toBe("");
  expect(gce.size % 2 ** 30).toBe(0);
});

test("an unsealed image boots by a type 1 entry of its own, with the kernel arguments that are asked for", async () => {
  const from = `oci:${place(`os-${count++}`)}`;
  await writeSmallOs(from, { files: { "var/": "" } });
  const report = await build({ kernelArguments: ["console=ttyS0"] }, from);
  const esp = partition(report.output, "EFI-SYSTEM", report);
  const { id } = report.deployment;
  expect(run("mtype", ["-i", esp, "::loader/entries/bootc_small-1-1.conf"])).toContain(
    [
      `linux /EFI/Linux/bootc_composefs-${id}/vmlinuz`,
      `initrd /EFI/Linux/bootc_composefs-${id}/initrd`,
      `options rw console=ttyS0 composefs=${id} quiet`,
    ].join("\n"),
  );
  expect(run("mtype", ["-i", esp, `::EFI/Linux/bootc_composefs-${id}/vmlinuz`])).toBe("a kernel\n".repeat(60));
  const relaxed = await build({ allowMissingVerity: true }, from);
  const other = partition(relaxed.output, "EFI-SYSTEM", relaxed);
  expect(run("mtype", ["-i", other, "::loader/entries/bootc_small-1-1.conf"])).toContain(`composefs=?${id}`);
});

test("host name, users and keys are files of the host's own /etc", async () => {
  const links: SmallOs = {
    ...OS,
    tars: [
      tarLayer([
        { path: "root", kind: "symlink", target: "var/roothome" },
        { path: "home", kind: "symlink", target: "var/home" },
      ]),
    ],
  };
  const keys = place("id.pub");
  writeFileSync(keys, "ssh-ed25519 AAAA somebody\n");
  const report = await build(
    { hostname: "web-1.example", rootSshAuthorizedKeys: keys, users: [{ name: "admin", authorizedKeys: keys }] },
    await seal(links),
  );
  const root = partition(report.output, "root", report);
  const etc = `/state/deploy/${report.deployment.id}/etc`;
  const cat = (path: string): string => debugfs(root, `cat ${etc}/${path}`);
  const encoded = readFileSync(keys).toString("base64");
  expect(cat("hostname")).toBe("web-1.example\n");
  expect(cat("tmpfiles.d/sealwright-root-ssh.conf")).toBe(
    `d /var/roothome/.ssh 0700 root root -\nf~ /var/roothome/.ssh/authorized_keys 0600 root root - ${encoded}\n`,
  );
  expect(cat("sysusers.d/sealwright-admin.conf")).toBe("u admin 1000 - /var/home/admin /bin/bash\n");
  expect(cat("tmpfiles.d/sealwright-admin.conf")).toContain("d /var/home/admin 0700 admin admin -\n");
  run("e2fsck", ["-fn", root]);
});

test.each<[string, Partial<DiskOptions>, string]>([
  ["an ESP that is too small", { espSize: MIB }, "disk.esp-too-small"],
  ["a root partition that is too small", { rootSize: 4 * MIB }, "disk.root-too-small"],
  ["a disk that is too small", { size: 66 * MIB }, "disk.too-small"],
  ["a root partition that the disk has no room for", { size: 128 * MIB, rootSize: 128 * MIB }, "disk.too-small"],
  ["half a GiB for Google Cloud", { format: "gce", size: 512 * MIB }, "disk.size-unit"],
  ["a kernel argument for a sealed image", { kernelArguments: ["quiet"] }, "disk.karg-sealed"],
  ["a relaxed sealed image", { allowMissingVerity: true }, "disk.verity-sealed"],
  ["another file system", { filesystem: "btrfs" }, "disk.filesystem"],
  ["an addon that is not there", { ukiAddons: ["debug"] }, "disk.addon-not-found"],
  ["keys that are not there", { enrollKeys: "/nonexistent" }, "input.not-found"],
  ["a host name with a space", { hostname: "a b" }, "disk.hostname"],
  ["a user with a colon", { users: [{ name: "a:b" }] }, "disk.user-name"],
  ["a home in the sealed tree", { users: [{ name: "admin" }] }, "disk.home-read-only"],
])("buildDisk() refuses %s and leaves nothing behind", async (_, options, code) => {
  const output = place(`refused-${count++}`);
  expect(await codeOfAsync(() => build({ output, ...options }))).toBe(code);
  expect(existsSync(output)).toBe(false);
  expect(readdirSync(directory).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test.each<[string, SmallOs["files"], string]>([
  ["without a boot loader", { "usr/lib/systemd/boot/efi/systemd-bootx64.efi": null }, "image.systemd-boot-missing"],
  ["without a kernel", { [`usr/lib/modules/${KERNEL_VERSION}/vmlinuz`]: null }, "kernel.none"],
  ["without /sysroot", { "sysroot/": null }, "tree.sysroot-missing"],
  [
    "with a boot entry",
    { "boot/loader/": "", "boot/loader/entries/": "", "boot/loader/entries/a.conf": "title a" },
    "image.boot-entry-present",
  ],
])("buildDisk() refuses an image %s", async (_, files = {}, code) => {
  const from = `oci:${place(`os-${count++}`)}`;
  await writeSmallOs(from, { files });
  expect(await codeOfAsync(() => build({}, from))).toBe(code);
});

test("buildDisk() refuses a UKI of another tree", async () => {
  const other = await seal({ ...OS, layers: [{ "usr/bin/other": "x".repeat(100) }] });
  const layout = other.replace("oci:", "");
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
  const blobPath = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
  const manifest = JSON.parse(readFileSync(blobPath(index.manifests[0].digest), "utf8"));
  const config = JSON.parse(readFileSync(blobPath(manifest.config.digest), "utf8"));
  // Without the layer in the middle, the tree is another one and the UKI the same.
  manifest.layers.splice(1, 1);
  config.rootfs.diff_ids.splice(1, 1);
  config.history.splice(1, 1);
  const put = (json: unknown): { digest: string; size: number } => {
    const bytes = Buffer.from(JSON.stringify(json));
    const digest = `sha256:${run("sha256sum", ["-b"], bytes.toString()).slice(0, 64)}`;
    writeFileSync(blobPath(digest), bytes);
    return { digest, size: bytes.length };
  };
  Object.assign(manifest.config, put(config));
  Object.assign(index.manifests[0], put(manifest));
  writeFileSync(join(layout, "index.json"), JSON.stringify(index));
  expect(await codeOfAsync(() => build({}, other))).toBe("disk.digest-differs");
});

test("buildDisk() leaves nothing behind when it is interrupted", async () => {
  const abort = new AbortController();
  const output = place(`stopped-${count++}`);
  const stopped = codeOfAsync(() =>
    build({ output, signal: abort.signal, progress: ({ step }) => step === "disk.write" && abort.abort() }),
  );
  expect(await stopped).toBe("interrupted");
  expect(existsSync(output)).toBe(false);
  expect(readdirSync(directory).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("a disk for aarch64 has the names and types of its architecture, and Merkle trees of three levels", async () => {
  const levels = Buffer.alloc(16 * MIB + 5000, "more than 4096 blocks, which SHA-512 takes three levels for; ");
  const files = { ...OS.files, "usr/lib/three-levels": levels };
  const report = await build({}, await seal({ ...OS, files, architecture: "arm64" }));
  const { partitiontable } = JSON.parse(runApart("sfdisk", ["--json", report.output]).stdout) as {
    partitiontable: { partitions: { name: string; type: string }[] };
  };
  expect(partitiontable.partitions.map(({ name, type }) => [name, type])).toEqual([
    ["EFI-SYSTEM", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"],
    ["root", "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"],
  ]);
  const listing = run("mdir", ["-/", "-b", "-i", partition(report.output, "EFI-SYSTEM", report)]);
  expect(listing).toContain("::/EFI/BOOT/BOOTAA64.EFI\n");
  expect(listing).toContain("::/EFI/systemd/systemd-bootaa64.efi\n");
  expect(listing).not.toMatch(/x64/i);
  const described = await inspectDisk(report.output);
  expect(described.partitions.map(({ typeName }) => typeName)).toEqual(["EFI system", "root, arm64"]);
  expect(described.deployments).toMatchObject([{ id: report.deployment.id, first: true, image: true }]);
  const verdict = await verifyDisk(report.output, { certificates: [place("keys/db.crt")], now: NOW });
  expect(verdict.links.filter(({ status }) => status !== "holds")).toEqual([]);

  writeFileSync(place("three-levels"), levels);
  const digest = run("fsverity", ["digest", "--hash-alg=sha512", "--compact", place("three-levels")]).trim();
  const root = partition(report.output, "root", report);
  const path = `/composefs/objects/${digest.slice(0, 2)}/${digest.slice(2)}`;
  run("debugfs", ["-R", `dump ${path} ${place("dumped")}`, root]);
  expect(run("cmp", [place("three-levels"), place("dumped")])).toBe("");
}, 60_000);

test("an image of Docker schema 2 keeps its manifest and config, byte for byte", async () => {
  const report = await build({}, await seal({ ...OS, family: "docker" }));
  const root = partition(report.output, "root", report);
  const origin = `/state/deploy/${report.deployment.id}/${report.deployment.id}.origin`;
  expect(debugfs(root, `cat ${origin}`)).toContain(`manifest_digest=${report.manifestDigest}\n`);
  expect(debugfs(root, "ls -p /composefs/streams")).toContain(`/oci-manifest-${report.manifestDigest}/`);
});

const CONTEXTS = [
  "/.* system_u:object_r:default_t:s0",
  "/usr(/.*)? system_u:object_r:usr_t:s0",
  "/etc(/.*)? system_u:object_r:etc_t:s0",
  "/boot(/.*)? system_u:object_r:boot_t:s0",
  "",
].join("\n");

test("a labelled image labels its repository like /usr, and the state of a host as its own", async () => {
  const selinux = "etc/selinux/targeted/contexts/files/file_contexts";
  const parents = ["etc/selinux/", "etc/selinux/targeted/", "etc/selinux/targeted/contexts/"];
  const directories = Object.fromEntries(
    [...parents, "etc/selinux/targeted/contexts/files/"].map((path) => [path, ""]),
  );
  const files = { ...OS.files, ...directories, "etc/selinux/config": "SELINUXTYPE=targeted\n", [selinux]: CONTEXTS };
  const report = await build({}, await seal({ ...OS, files }));
  const root = partition(report.output, "root", report);
  run("e2fsck", ["-fn", root]);
  const label = (path: string): string =>
    /security\.selinux \(\d+\) = "([^"\\]*)/.exec(debugfs(root, `stat ${path}`))?.[1] ?? "";
  const { id } = report.deployment;
  const state = `/state/deploy/${id}`;
  expect(
    [
      "/composefs",
      "/composefs/meta.json",
      `/composefs/images/${id}`,
      "/ostree/bootc",
      "/boot/efi",
      `${state}/etc/long`,
    ].map((path) => label(path).split(":")[2]),
  ).toEqual(["usr_t", "usr_t", "usr_t", "usr_t", "boot_t", "etc_t"]);
});

test("a file system has as many inodes as its tree needs, whatever its size", async () => {
  const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`var/lib/${i}/`, ""]));
  const from = await seal({ ...OS, files: { ...OS.files, ...many } });
  const report = await build({ rootSize: 40 * MIB }, from);
  expect(report.root.freeInodes).toBeLessThan(1000);
  run("e2fsck", ["-fn", partition(report.output, "root", report)]);
});
