import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { KERNEL_VERSION, type SmallOs, writeSmallOs } from "../../../test/small-os.ts";
import { encodeCpio } from "../../formats/cpio/index.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import { computeDigests } from "../digest/compute-digests.ts";
import { generateKeys } from "../keys/generate-keys.ts";
import { sealImage } from "../seal/seal-image.ts";
import { diffImages as diffUncached } from "./diff-images.ts";

const MODULES = `usr/lib/modules/${KERNEL_VERSION}`;

let directory: string;
let count = 0;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-diff-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function newOs(os: SmallOs = {}): Promise<string> {
  const reference = `oci:${join(directory, `os-${count++}`)}`;
  await writeSmallOs(reference, os);
  return reference;
}

const diffImages = (a: string, b: string) => diffUncached(a, b, { cacheDirectory: join(directory, "cache") });
const diffOs = async (a: SmallOs, b: SmallOs) => diffImages(await newOs(a), await newOs(b));

describe("diffImages()", () => {
  test("finds nothing between an image and itself", async () => {
    const image = await newOs();
    const report = await diffImages(image, image);
    const { digests } = await computeDigests(image);
    expect(report).toMatchObject({
      differs: false,
      privileges: [],
      units: [],
      ukis: [],
      initramfs: null,
      packages: { counts: null, changes: [] },
      files: { added: 0, removed: 0, changed: 0, timesOnly: 0, changes: [] },
      fetch: { layers: { fetched: { count: 0, size: 0 } }, objects: { fetched: { count: 0, size: 0 } } },
      notes: [],
    });
    for (const side of [report.a, report.b]) {
      expect(side).toMatchObject({
        kind: "image",
        digest: { format: "v1-sha512", hex: digests["v1-sha512"] },
        os: { id: "small", versionId: "1", name: "Small OS 1" },
        kernel: { version: KERNEL_VERSION, unified: false },
      });
    }
  });

  test("tells the OS release of both sides where it differs", async () => {
    const report = await diffOs({}, { files: { "usr/lib/os-release": "ID=small\nVERSION_ID=2\n" } });
    expect(report.a.os?.versionId).toBe("1");
    expect(report.b.os?.versionId).toBe("2");
  });

  test("compares kernel arguments of the image's architecture", async () => {
    const path = "usr/lib/bootc/kargs.d/10-base.toml";
    const report = await diffOs({}, { files: { [path]: 'kargs = ["rw", "console=ttyS0", "rw"]\n' } });
    expect(report.kernelArguments.kargs).toEqual({ added: ["console=ttyS0", "rw"], removed: ["quiet"] });
    expect(report.kernelArguments.commandLine).toEqual({ added: [], removed: [] });
  });

  test("notes a file that cannot be understood, and goes on", async () => {
    const path = "usr/lib/bootc/kargs.d/10-base.toml";
    const report = await diffOs({}, { files: { [path]: "kargs = 7\n" } });
    expect(report.notes.map(({ code }) => code)).toEqual(["uki.kargs.key"]);
    expect(report.files.changed).toBe(1);
  });

  test("compares packages of dpkg", async () => {
    const files = (text: string) => ({
      files: { "var/": "", "var/lib/": "", "var/lib/dpkg/": "", "var/lib/dpkg/status": text },
    });
    const stanza = (name: string, version: string, size: number) =>
      `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\nInstalled-Size: ${size}\n\n`;
    const report = await diffOs(
      files(stanza("tar", "1.9", 10) + stanza("gone", "1", 1)),
      files(stanza("tar", "1.10", 12)),
    );
    expect(report.packages).toEqual({
      counts: { before: 2, after: 1 },
      changes: [
        { manager: "dpkg", name: "gone", architecture: "amd64", change: "removed", before: "1", sizeBefore: 1024 },
        {
          manager: "dpkg",
          name: "tar",
          architecture: "amd64",
          change: "upgraded",
          before: "1.9",
          sizeBefore: 10240,
          after: "1.10",
          sizeAfter: 12288,
        },
      ],
    });
  });

  test("says that a Berkeley DB of rpm is not read, and compares no packages", async () => {
    const database = Buffer.alloc(512);
    database.writeUInt32LE(0x061561, 12);
    const report = await diffOs(
      {},
      { files: { "var/": "", "var/lib/": "", "var/lib/rpm/": "", "var/lib/rpm/Packages": database } },
    );
    expect(report.notes.map(({ code }) => code)).toEqual(["rpmdb.berkeley-db"]);
    expect(report.packages).toEqual({ counts: null, changes: [] });
  });

  test("counts layers and objects that a host with A would fetch", async () => {
    const a = await newOs();
    const b = await newOs({
      layers: [{ "usr/bin/new": "n".repeat(5000), "usr/bin/again": "n".repeat(5000), "etc/tiny": "t" }],
    });
    const { fetch } = await diffImages(a, b);
    expect(fetch.layers).toMatchObject({ total: { count: 2 }, reused: { count: 1 }, fetched: { count: 1 } });
    expect(fetch.layers?.list.map(({ createdBy, reused }) => [createdBy, reused])).toEqual([
      ["COPY layer 0", true],
      ["COPY layer 1", false],
    ]);
    expect(fetch.objects.fetched).toEqual({ count: 1, size: 5000 });
    expect(fetch.objects.total.count).toBe(fetch.objects.reused.count + 1);
    expect((await diffImages(b, a)).fetch.objects).toMatchObject({
      fetched: { count: 0, size: 0 },
      reusedPercent: 100,
    });
  });
});

const cpio = (files: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat([
    ...encodeCpio(
      Object.entries(files).map(([path, text]) => ({
        path: byteString(path),
        mode: 0o100644,
        content: Buffer.from(text),
      })),
    ),
  ]);

describe("diffImages() opens the initramfs", () => {
  const withInitramfs = (bytes: Uint8Array): SmallOs => ({ files: { [`${MODULES}/initramfs.img`]: bytes } });

  test("and compares its members whatever they are packed with", async () => {
    const early = cpio({ "kernel/x86/microcode/AuthenticAMD.bin": "m".repeat(8) });
    const a = Buffer.concat([early, gzipSync(cpio({ init: "old", gone: "g", same: "s" }))]);
    const b = Buffer.concat([early, zstdCompressSync(cpio({ init: "newer", "./same": "s", added: "" }))]);
    const { initramfs, notes } = await diffOs(withInitramfs(a), withInitramfs(b));
    expect(notes).toEqual([]);
    expect(initramfs?.before?.archives.map(({ compression, entries }) => [compression, entries])).toEqual([
      ["none", 1],
      ["gzip", 3],
    ]);
    expect(initramfs?.after?.archives.map(({ compression }) => compression)).toEqual(["none", "zstd"]);
    expect(initramfs?.members).toEqual([
      { path: "added", change: "added", sizeAfter: 0, aspects: [] },
      { path: "gone", change: "removed", sizeBefore: 1, aspects: [] },
      { path: "init", change: "changed", sizeBefore: 3, sizeAfter: 5, aspects: ["content"] },
    ]);
  });

  test("and names the compression that it cannot open", async () => {
    const xz = execFileSync("xz", ["--check=crc32", "-c"], { input: cpio({ init: "x" }) });
    const { initramfs, notes } = await diffOs(withInitramfs(gzipSync(cpio({ init: "x" }))), withInitramfs(xz));
    expect(notes.map(({ code }) => code)).toEqual(["cpio.compression"]);
    expect(notes[0]?.message).toContain("xz");
    expect(initramfs?.after?.archives).toEqual([{ compression: "xz", size: xz.length, entries: null }]);
    expect(initramfs?.members).toEqual([]);
  });
});

describe("diffImages() takes more than images", () => {
  test("a dumpfile: contents stay unknown, everything else is compared", async () => {
    const image = await newOs({ files: { "usr/bin/hello": "h".repeat(100) } });
    const dumpfile = join(directory, "plain.dump");
    const other = await newOs({
      files: { "usr/bin/hello": "o".repeat(100), "usr/lib/os-release": `ID=x\n#${"-".repeat(90)}\n` },
    });
    await computeDigests(other, { plain: true, dumpfile });
    const report = await diffImages(image, `dump:${dumpfile}`);
    expect(report.files.changes.map(({ path }) => path)).toContain("/usr/bin/hello");
    expect(report.b).toMatchObject({ kind: "dump", os: null, digest: { format: "v1-sha512" } });
    expect(report.notes.map(({ code }) => code)).toContain("diff.contents-missing");
    expect(report.fetch.layers).toBeNull();
    expect(report.fetch.objects.fetched.count).toBe(2);
  });

  test("a dumpfile with SHA-256: the image follows, in either order", async () => {
    const image = await newOs();
    const dumpfile = join(directory, "sha256.dump");
    await computeDigests(image, { plain: true, formats: "v1-sha256", dumpfile });
    for (const names of [
      [image, `dump:${dumpfile}`],
      [`dump:${dumpfile}`, image],
    ] as const) {
      const [first, second] = names;
      const report = await diffImages(first, second);
      expect(report.a.digest?.format).toBe("v1-sha256");
      // What is at /run is no part of a canonical tree.
      expect(report.files.changes.map(({ path }) => path)).toEqual(["/", "/run/left-over"]);
    }
  });

  test("refuses two dumpfiles with digests of two algorithms", async () => {
    const image = await newOs();
    const [one, two] = ["sha256", "sha512"].map((algorithm) => join(directory, `${algorithm}.two.dump`)) as [
      string,
      string,
    ];
    await computeDigests(image, { formats: "v1-sha256", dumpfile: one });
    await computeDigests(image, { formats: "v1-sha512", dumpfile: two });
    expect(await codeOfAsync(() => diffImages(`dump:${one}`, `dump:${two}`))).toBe("diff.algorithms-differ");
  });

  test("a directory, with a note when it has no digest", async () => {
    const root = join(directory, "root");
    execFileSync("mkdir", ["-p", join(root, "etc")]);
    writeFileSync(join(root, "etc/hostname"), "x");
    const report = await diffImages(`dir:${root}`, await newOs({ files: { [`${MODULES}/initramfs.img`]: "" } }));
    expect(report.a).toMatchObject({ kind: "directory", digest: null, os: null, kernel: null });
    expect(report.notes.map(({ code }) => code)).toEqual(["tree.usr-missing"]);
  });
});

describe("sealed images", () => {
  let before: string;
  let after: string;
  let unsealed: string;
  const seal = async (reference: string, more: { readonly keepKernel?: boolean } = {}): Promise<string> => {
    const to = `oci:${join(directory, `sealed-${count++}`)}`;
    const keys = join(directory, "keys");
    await sealImage(reference, {
      ...more,
      to,
      key: join(keys, "db.key"),
      certificatePath: join(keys, "db.crt"),
      now: new Date("2026-06-01T00:00:00Z"),
    });
    return to;
  };

  beforeAll(async () => {
    await generateKeys({ directory: join(directory, "keys"), now: new Date("2026-01-01T00:00:00Z"), randomBytes });
    const initramfs = `${MODULES}/initramfs.img`;
    unsealed = await newOs({ files: { [initramfs]: gzipSync(cpio({ init: "a" })) } });
    before = await seal(unsealed);
    const changed = {
      [initramfs]: gzipSync(cpio({ init: "b", more: "m" })),
      "usr/lib/bootc/kargs.d/10-base.toml": 'kargs = ["rw", "console=ttyS0"]\n',
    };
    after = await seal(await newOs({ files: changed }));
  });

  test("differ in the sections of their UKIs, the command line and the initramfs inside", async () => {
    const report = await diffImages(before, after);
    const [uki] = report.ukis;
    expect(report.notes).toEqual([]);
    expect(uki).toMatchObject({ change: "changed", path: `/boot/EFI/Linux/${KERNEL_VERSION}.efi` });
    expect(uki?.sections.map(({ change, name }) => [change, name])).toEqual([
      ["changed", ".cmdline"],
      ["changed", ".initrd"],
    ]);
    const { added, removed } = report.kernelArguments.commandLine;
    expect(added).toEqual(["console=ttyS0", `composefs=${report.b.digest?.hex}`]);
    expect(removed).toEqual(["quiet", `composefs=${report.a.digest?.hex}`]);
    expect(report.initramfs?.members.map(({ change, path }) => [change, path])).toEqual([
      ["changed", "init"],
      ["added", "more"],
    ]);
  });

  test.each([false, true])(
    "differ from what they were made of in the UKI, not in the initramfs; kernel kept: %s",
    async (keepKernel) => {
      const sealed = await seal(unsealed, { keepKernel });
      const report = await diffImages(unsealed, sealed);
      expect(report.ukis).toMatchObject([{ change: "added" }]);
      expect(report.initramfs).toBeNull();
      expect(report.kernelArguments.commandLine.added).toEqual(["rw", "quiet", `composefs=${report.b.digest?.hex}`]);
      expect(report.fetch.layers?.fetched.count).toBe(1);
    },
  );

  test("sealwright diff shows it as text, JSON and HTML", () => {
    const html = join(directory, "diff.html");
    const run = (...args: string[]) =>
      spawnSync("node", ["bin/sealwright.cjs", "diff", before, after, "--no-cache", ...args], { encoding: "utf8" });
    const text = run("--html", html);
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/^command line of the UKI: 2 removed, 2 added$/m);
    expect(text.stdout).toMatch(/^ {2}- quiet$/m);
    expect(text.stdout).toMatch(/^ {2}~ {3}\.initrd +\d+ B -> \d+ B$/m);
    expect(text.stdout).toMatch(/^initramfs: \d+ B \(gzip\) -> \d+ B \(gzip\); 1 changed, 1 added$/m);
    expect(text.stdout).toMatch(/^ {2}by layer: {3}2 of 2 layers, /m);

    const page = readFileSync(html, "utf8");
    expect(page).toContain("console=ttyS0");
    expect(page).not.toMatch(/<script|<link|src=|https?:/);
    execFileSync("python3", ["-c", "import sys, xml.dom.minidom as dom; dom.parse(sys.argv[1])", html]);

    const json = run("--json", "--exit-code");
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ differs: true, a: { source: before }, b: { source: after } });

    const cut = run("--files", "--limit", "1");
    expect(cut.stdout).toMatch(/^ {2}\.\.\. and \d+ more \(--limit 0 shows all\)$/m);
  });

  test("sealwright diff --exit-code exits with 0 for equal trees, and as usual for a refusal", () => {
    const run = (...args: string[]) =>
      spawnSync("node", ["bin/sealwright.cjs", "diff", "--exit-code", "--no-cache", ...args]);
    expect(run(before, before).status).toBe(0);
    expect(run(before, `oci:${directory}/absent`).status).toBe(66);
  });
});
