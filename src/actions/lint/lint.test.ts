import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { entry, layer, xattrs } from "../../../test/layers.ts";
import { tarLayer, writeSmallOs } from "../../../test/small-os.ts";
import { stubPath } from "../../../test/tools/ukify.ts";
import { signPe } from "../../formats/authenticode/index.ts";
import { encodeCpio } from "../../formats/cpio/index.ts";
import { parsePe } from "../../formats/pe/index.ts";
import { buildUki, type UkiInputs } from "../../formats/uki/index.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import type { LayerEntry } from "../../model/layer/entry.ts";
import { ARCHITECTURES } from "../../model/os/index.ts";
import { openSigner } from "../../model/signing/index.ts";
import { loadCertificates } from "../../model/signing/load-certificates.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import { treeFromLayers } from "../../model/tree/apply.ts";
import type { Content } from "../../model/tree/tree.ts";
import { generateKeys } from "../keys/generate-keys.ts";
import { sealImage } from "../seal/seal-image.ts";
import { isRefusal, LintContext, type LintSettings } from "./context.ts";
import type { Finding } from "./lint.ts";
import { lintImage } from "./lint-image.ts";
import { LINTS } from "./lints.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const { char, dir, file, symlink } = entry;
const LOADER = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const UKI = "boot/EFI/Linux/6.12.0-test.efi";
const MODULES = "usr/lib/modules/6.12.0-test";

let directory = "";
let stub: Uint8Array;
let loader: Uint8Array;
let certificate = "";

const cpio = (...paths: string[]): Buffer =>
  Buffer.concat([...encodeCpio(paths.map((path) => ({ path: byteString(path), mode: 0o100644 })))]);
const INITRAMFS = cpio("init", "scripts/composefs");

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-lint-"));
  await generateKeys({ directory: join(directory, "keys"), now: new Date("2026-01-01T00:00:00Z"), randomBytes });
  certificate = join(directory, "keys", "db.crt");
  const path = await stubPath("262-x64", "linux");
  stub = readFileSync(path);
  loader = readFileSync(join(dirname(path), "systemd-bootx64.efi"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function sign(pe: Uint8Array): Promise<Uint8Array> {
  const keyPath = join(directory, "keys", "db.key");
  await using signer = await openSigner(keyPath, { certificatePath: certificate, now: NOW });
  return await signPe(pe, signer, { signingTime: signer.certificate.notBefore });
}

async function uki(cmdline = `rw composefs=${"a".repeat(128)}`, more: UkiInputs = {}, on = stub): Promise<Buffer> {
  const { bytes } = await buildUki(on, {
    linux: Buffer.from("kernel"),
    initrds: [INITRAMFS],
    osRelease: Buffer.from("ID=small\n"),
    uname: "6.12.0-test",
    cmdline: Buffer.from(cmdline),
    ...more,
  });
  return Buffer.from(bytes);
}

const blob = (path: string, bytes: Uint8Array) => file(path, Buffer.from(bytes).toString("latin1"));

/** Of an OS without any finding. */
const plain = (): LayerEntry[] => [
  ...["boot", "dev", "etc", "proc", "run", "sys", "sysroot", "tmp", "usr", "var"].map((path) => dir(path)),
  symlink("ostree", "sysroot/ostree"),
  file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
  file("etc/group", "root:x:0:\n"),
  file("usr/lib/sysusers.d/basic.conf", "u root 0 - /root\n"),
  file("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = true\n"),
  file("usr/lib/bootc/kargs.d/10.toml", 'kargs = ["rw"]\n'),
  file(`${MODULES}/vmlinuz`, "kernel"),
  blob(`${MODULES}/initramfs.img`, INITRAMFS),
];

function contextOf(entries: readonly LayerEntry[], more: Partial<LintSettings> = {}): LintContext {
  const source = {
    name: "test",
    kind: "image",
    tree: treeFromLayers([layer(...plain(), ...entries)], { missingParents: "invent" }),
    read: (contents: readonly Content[]) =>
      Promise.resolve(contents.map((content) => (content.kind === "inline" ? content.bytes : Buffer.alloc(0)))),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as TreeSource;
  const settings = { source, architecture: ARCHITECTURES[0], undeclaredParents: [], certificates: [], now: NOW };
  return new LintContext({ ...settings, reopen: () => Promise.resolve(source), ...more });
}

/** What each lint finds, by its name. */
async function lint(entries: readonly LayerEntry[], more: Partial<LintSettings> = {}): Promise<Map<string, Finding>> {
  const context = contextOf(entries, more);
  const found = new Map<string, Finding>();
  for (const { check, name } of LINTS) {
    try {
      const finding = await check(context);
      if (finding !== undefined) found.set(name, finding);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      found.set(name, { code: error.code, message: error.message });
    }
  }
  return found;
}

const codesOf = (found: ReadonlyMap<string, Finding>) => [...found].map(([name, { code }]) => `${name}: ${code}`);

test("no lint finds anything in a plain OS", async () => {
  expect(codesOf(await lint([]))).toEqual([]);
});

describe("the lints of bootc", () => {
  test("have the names and the levels of bootc", () => {
    const wanted = {
      "api-base-directories": "fatal",
      "baseimage-composefs": "warning",
      "baseimage-root": "fatal",
      "bootc-kargs": "fatal",
      "buildah-injected": "warning",
      "etc-usretc": "fatal",
      kernel: "fatal",
      "nonempty-boot": "warning",
      "nonempty-run-tmp": "warning",
      sysusers: "warning",
      utf8: "fatal",
      "var-log": "warning",
      "var-run": "fatal",
      "var-tmpfiles": "warning",
    };
    const levels = new Map(LINTS.map(({ level, name }) => [name, level]));
    for (const [name, level] of Object.entries(wanted)) expect([name, levels.get(name)]).toEqual([name, level]);
    const rooted = LINTS.filter(({ rootType }) => rootType !== undefined).map(({ name, rootType }) => [name, rootType]);
    expect(rooted).toEqual([
      ["buildah-injected", "alternative"],
      ["var-tmpfiles", "running"],
    ]);
  });

  test.each<[string, LayerEntry[], string[]]>([
    ["an API directory that is a link", [symlink("tmp", "var/tmp")], ["api-base-directories: lint.root.api-directory"]],
    [
      "composefs switched off",
      [file("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = false\n")],
      ["baseimage-composefs: lint.prepare-root.composefs-disabled"],
    ],
    [
      "a base image copy without its files",
      [dir("usr/share/doc/bootc/baseimage/base")],
      ["baseimage-composefs: lint.prepare-root.missing", "baseimage-root: lint.root.sysroot"],
    ],
    ["/ostree elsewhere", [symlink("ostree", "/sysroot/ostree")], ["baseimage-root: lint.root.ostree-link"]],
    [
      "kargs.d that is no TOML",
      [file("usr/lib/bootc/kargs.d/x.toml", "=")],
      ["bootc-kargs: uki.kargs.toml", "cmdline-enforcing: uki.kargs.toml", "cmdline-rw: uki.kargs.toml"],
    ],
    [
      "kargs.d with another key",
      [file("usr/lib/bootc/kargs.d/x.toml", "kargs = []\nx = 1\n")],
      ["bootc-kargs: uki.kargs.key", "cmdline-enforcing: uki.kargs.key", "cmdline-rw: uki.kargs.key"],
    ],
    ["an empty /etc/hostname", [file("etc/hostname")], ["buildah-injected: lint.state.build-file"]],
    ["/usr/etc", [dir("usr/etc")], ["etc-usretc: lint.root.usr-etc"]],
    ["two kernels", [file("usr/lib/modules/6.13/vmlinuz")], ["kernel: kernel.several"]],
    ["something in /boot", [file("boot/vmlinuz-6.12")], ["nonempty-boot: lint.boot.not-empty"]],
    ["only EFI in /boot", [dir("boot/EFI")], []],
    ["the dump of a seal in /boot", [file("boot/6.12.dump")], ["nonempty-boot: lint.boot.seal-dump"]],
    ["a file in /run", [file("run/x")], ["nonempty-run-tmp: lint.state.run-tmp"]],
    ["an empty directory in /tmp", [dir("tmp/x")], ["nonempty-run-tmp: lint.state.run-tmp"]],
    ["the resolver's mount point", [file("run/systemd/resolve/stub-resolv.conf")], []],
    [
      "an undeclared user",
      [file("etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:9:9::/:/bin/sh\n")],
      ["sysusers: lint.accounts.undeclared"],
    ],
    ["an undeclared group", [file("etc/group", "root:x:0:\nweb:x:9:\n")], ["sysusers: lint.accounts.undeclared"]],
    [
      "a declared one",
      [file("etc/group", "root:x:0:\nweb:x:9:\n"), file("usr/lib/sysusers.d/web.conf", "g web -\n")],
      [],
    ],
    [
      "a log with content",
      [file("var/log/dpkg.log", "x")],
      ["var-log: lint.state.log", "var-tmpfiles: lint.state.var-undeclared"],
    ],
    [
      "a directory /var/run",
      [dir("var/run")],
      ["var-run: lint.state.var-run", "var-tmpfiles: lint.state.var-undeclared"],
    ],
    [
      "declared content of /var",
      [
        dir("var/lib"),
        symlink("var/run", "../run"),
        file("usr/lib/tmpfiles.d/x.conf", "d /var/lib 0755\nL /var/run - - - - ../run\n"),
      ],
      [],
    ],
    [
      "a link target that is no UTF-8",
      [{ ...symlink("usr/l", "x"), target: "\xff" } as LayerEntry],
      ["utf8: lint.root.utf8"],
    ],
    ["a name that is no UTF-8", [{ ...file("usr/x"), path: "usr/\xfe" } as LayerEntry], ["utf8: lint.root.utf8"]],
  ])("find %s", async (_, entries, expected) => {
    expect(codesOf(await lint(entries))).toEqual(expected);
  });
});

describe("the lints of sealed images", () => {
  test.each<[string, LayerEntry[], string[]]>([
    [
      "no rw in kargs.d",
      [file("usr/lib/bootc/kargs.d/10.toml", 'kargs = ["quiet"]\n')],
      ["cmdline-rw: uki.cmdline.rw-missing"],
    ],
    [
      "enforcing=0 in kargs.d",
      [file("usr/lib/bootc/kargs.d/20.toml", 'kargs = ["enforcing=0"]\n')],
      ["cmdline-enforcing: uki.cmdline.selinux-permissive"],
    ],
    [
      "boot loader entries",
      [file("boot/loader/entries/a.conf")],
      ["boot-entries: image.boot-entry-present", "nonempty-boot: lint.boot.not-empty"],
    ],
    ["a UKI that is a link", [symlink(UKI, "elsewhere.efi")], ["efi-not-regular: kernel.not-file"]],
    ["a UKI that is no PE", [file(UKI, "MZ")], ["uki-unreadable: pe.truncated"]],
    [
      "an initramfs without root set-up",
      [blob(`${MODULES}/initramfs.img`, cpio("init"))],
      ["initramfs-root-setup: initramfs.root-setup-missing"],
    ],
    [
      "an initramfs that is none",
      [file(`${MODULES}/initramfs.img`, "nothing like it")],
      ["initramfs-closed: cpio.member.unknown", "initramfs-root-setup: cpio.member.unknown"],
    ],
    ["a fraction of a second", [file("usr/x", "", { mtimeNsec: 1 })], ["mtime-subsecond: tree.mtime.subsecond"]],
    ["one that the digest leaves out", [file("boot/EFI/x", "", { mtimeNsec: 1 })], []],
    ["a time to come", [file("usr/x", "", { mtimeSec: 2_000_000_000n })], ["mtime-future: tree.mtime.future"]],
    [
      "a foreign attribute",
      [dir("usr/x", { xattrs: xattrs({ "user.x": "y" }) })],
      ["xattrs-foreign: tree.xattr.foreign"],
    ],
    ["a capability", [file("usr/x", "", { xattrs: xattrs({ "security.capability": "y" }) })], []],
    ["a device", [char("usr/x", 1)], []],
  ])("find %s", async (_, entries, expected) => {
    expect(codesOf(await lint(entries))).toEqual(expected);
  });

  test.each([
    [
      "no prepare-root.conf",
      "usr/lib/ostree/prepare-root.conf",
      ["baseimage-composefs: lint.prepare-root.missing", "prepare-root: image.prepare-root-missing"],
    ],
    ["no /boot", "boot", ["nonempty-boot: lint.boot.missing"]],
  ])("find %s", async (_, path, expected) => {
    expect(codesOf(await lint([{ ...file(path.replace(/([^/]+)$/, ".wh.$1")) }]))).toEqual(expected);
  });

  test("find undeclared parents that the reader met", async () => {
    const found = await lint([], { undeclaredParents: [{ path: "/opt/x", layer: 3 }] });
    expect(found.get("layer-parents")).toMatchObject({ code: "tree.parent-missing", paths: ["/opt/x (layer 3)"] });
  });

  test.each<[string, string | UkiInputs, string]>([
    ["no digest", "rw", "cmdline-digest: uki.cmdline.digest-missing"],
    ["an optional digest", `rw composefs=?${"a".repeat(128)}`, "cmdline-verity-optional: uki.cmdline.verity-optional"],
    ["enforcing=0", "rw enforcing=0", "cmdline-enforcing: uki.cmdline.selinux-permissive"],
    ["no rw", "quiet", "cmdline-rw: uki.cmdline.rw-missing"],
    ["the digest of another tree", `rw composefs=${"a".repeat(128)}`, "uki-digest: digest.mismatch"],
    ["a SHA-256 digest of another tree", `rw composefs=${"a".repeat(64)}`, "uki-digest: digest.mismatch"],
    ["a malformed digest", "rw composefs=1", "uki-digest: uki.cmdline.composefs-digest"],
    ["an old kernel", { uname: "6.5.13-1" }, "kernel-too-old: kernel.too-old"],
    ["a kernel 7.0", { uname: "7.0.3" }, "kernel-overlay-regression: kernel.overlay-regression"],
    ["no root set-up", { initrds: [cpio("init")] }, "initramfs-root-setup: initramfs.root-setup-missing"],
    ["no signature", {}, "uki-unsigned: uki.unsigned"],
  ])("find a UKI with %s", async (_, given, expected) => {
    const bytes = typeof given === "string" ? await uki(given) : await uki(undefined, given);
    expect(codesOf(await lint([blob(UKI, bytes)]))).toContain(expected);
  });

  test("find two UKIs, and take an addon for none", async () => {
    const bytes = await uki();
    const second = await lint([blob(UKI, bytes), blob("boot/EFI/Linux/a.efi", bytes)]);
    expect(second.get("uki-several")).toMatchObject({
      code: "uki.several",
      paths: [`/${UKI}`, "/boot/EFI/Linux/a.efi"].sort(),
    });
    expect((await lint([blob(UKI, bytes)])).has("uki-several")).toBe(false);
  });

  test("find an old stub", async () => {
    const old = await uki(undefined, {}, readFileSync(await stubPath("252-x64", "linux")));
    expect((await lint([blob(UKI, old)])).get("uki-stub-version")?.code).toBe("uki.stub.old");
    expect((await lint([blob(UKI, await uki())])).has("uki-stub-version")).toBe(false);
  });

  test("find bootupd, and an unsigned or a second boot loader, beside a signed UKI", async () => {
    const signed = blob(UKI, await sign(await uki()));
    const bootupd = await lint([
      signed,
      file("usr/bin/bootupctl"),
      blob(`${LOADER}.signed`, loader),
      blob(LOADER, loader),
    ]);
    expect(codesOf(bootupd)).toEqual(
      expect.arrayContaining([
        "bootupd: image.bootupd-present",
        "boot-loader-second: image.systemd-boot-signed-twice",
        "boot-loader-unsigned: boot-loader.unsigned",
      ]),
    );
    const clean = await lint([signed, blob(LOADER, await sign(loader))]);
    expect(codesOf(clean)).toEqual(["uki-digest: digest.mismatch"]);
    expect(codesOf(await lint([file("usr/bin/bootupctl"), blob(LOADER, loader)]))).toEqual([]);
  });

  test("find sections of one name, and sections over each other", async () => {
    const bytes = await uki();
    const header = (name: string) => parsePe(bytes).sections.find((each) => each.name === name)?.headerOffset ?? 0;
    const named = Buffer.from(bytes);
    named.write(".osrel\0\0", header(".uname"), "latin1");
    expect((await lint([blob(UKI, named)])).get("pe-sections")?.code).toBe("uki.section.duplicate");
    const over = Buffer.from(bytes);
    over.copy(over, header(".initrd") + 12, header(".linux") + 12, header(".linux") + 16);
    expect((await lint([blob(UKI, over)])).get("pe-sections")?.code).toBe("pe.section.overlap-in-memory");
  });

  test("find bytes that no signature covers: behind it, and between sections", async () => {
    const signed = Buffer.from(await sign(await uki()));
    expect((await lint([blob(UKI, signed)])).has("pe-unsigned-bytes")).toBe(false);
    const behind = await lint([blob(UKI, Buffer.concat([signed, Buffer.alloc(8)]))]);
    expect(behind.get("pe-unsigned-bytes")).toMatchObject({
      code: "pe.unsigned-bytes",
      paths: [`/${UKI}: bytes ${signed.length} to ${signed.length + 8}`],
    });

    const bytes = await uki();
    const last = parsePe(bytes).sections.at(-1);
    if (last === undefined) throw new Error("no section");
    const apart = Buffer.concat([
      bytes.subarray(0, last.rawOffset),
      Buffer.alloc(4096),
      bytes.subarray(last.rawOffset),
    ]);
    apart.writeUInt32LE(last.rawOffset + 4096, last.headerOffset + 20);
    const between = await lint([blob(UKI, await sign(apart))]);
    expect(between.get("pe-unsigned-bytes")?.paths?.[0]).toMatch(new RegExp(`bytes ${last.rawOffset} to`));
  });

  test.each([
    ["2027-01-01", undefined],
    ["2045-12-01", "certificate.near-expiry"],
    ["2050-01-01", "certificate.expired"],
    ["2025-01-01", "certificate.not-yet-valid"],
  ])("look at certificates in signatures and at given ones on %s", async (day, code) => {
    const now = new Date(day);
    const signed = blob(UKI, await sign(await uki()));
    expect((await lint([signed], { now })).get("certificate-validity")?.code).toBe(code);
    const certificates = await loadCertificates([certificate]);
    expect((await lint([], { certificates, now })).get("certificate-validity")?.code).toBe(code);
  });

  test.each([
    [170, undefined],
    [171, "esp.above-512-mib"],
    [342, "esp.above-1-gib"],
  ])("count three UKIs of %i MiB against the ESP", async (size, code) => {
    const big = { kind: "sparse", size: BigInt(size) << 20n } as unknown as Content;
    const found = await lint([{ ...file(`${MODULES}/vmlinuz`), content: big } as LayerEntry]);
    expect(found.get("esp-budget")?.code).toBe(code);
  });

  test.each([
    ["xz", ["xz", "-c", "--check=crc32"]],
    ["lzma", ["xz", "-c", "--format=lzma"]],
    ["lz4", ["lz4", "-l", "-c"]],
    ["bzip2", ["bzip2", "-c"]],
    ["gzip", ["gzip", "-c"]],
    ["zstd", ["zstd", "-c"]],
  ])("open an initramfs packed with %s", async (_, [program = "", ...args]) => {
    const pack = (bytes: Uint8Array) => execFileSync(program, args, { input: bytes, stdio: ["pipe", "pipe", "pipe"] });
    const early = cpio("kernel/x86/microcode/GenuineIntel.bin");
    const packed = (bytes: Buffer) => blob(`${MODULES}/initramfs.img`, Buffer.concat([early, pack(bytes)]));
    expect(codesOf(await lint([packed(INITRAMFS)]))).toEqual([]);
    expect(codesOf(await lint([packed(cpio("init"))]))).toEqual(["initramfs-root-setup: initramfs.root-setup-missing"]);
  });

  test("say that a part of the initramfs could not be opened, and nothing about what is in it", async () => {
    const broken = Buffer.concat([cpio("early"), Buffer.from("fd377a585a00ffff", "hex")]);
    const found = await lint([blob(`${MODULES}/initramfs.img`, broken)]);
    expect(codesOf(found)).toEqual(["initramfs-closed: initramfs.command.failed"]);
  });
});

describe("sealwright lint", () => {
  const run = (...args: string[]) => {
    try {
      return {
        status: 0,
        text: execFileSync("node", ["bin/sealwright.cjs", "lint", ...args], { stdio: "pipe", encoding: "utf8" }),
      };
    } catch (error) {
      const { status, stdout } = error as { status: number; stdout: string };
      return { status, text: stdout };
    }
  };
  let os = "";
  let sealed = "";

  beforeAll(async () => {
    os = `oci:${join(directory, "os")}:os`;
    sealed = `oci:${join(directory, "sealed")}:os`;
    const empty = Object.fromEntries(["dev/", "proc/", "sys/", "tmp/", "var/"].map((path) => [path, ""]));
    const files = { ...empty, "run/left-over": null, [`${MODULES}/initramfs.img`]: INITRAMFS };
    const link = tarLayer([{ kind: "symlink", path: "ostree", target: "sysroot/ostree" }]);
    await writeSmallOs(os, { files, tars: [link] });
    await sealImage(os, {
      to: sealed,
      key: join(directory, "keys", "db.key"),
      certificatePath: certificate,
      now: NOW,
    });
  });

  test("finds nothing in an image that can be sealed", () => {
    expect(run(os)).toEqual({ status: 0, text: `Checks passed: ${LINTS.length - 1}\nChecks skipped: 1\n` });
  });

  test("warns of the dump in what sealwright seals, as bootc does, and of nothing else", () => {
    const warning =
      "Lint warning: nonempty-boot: found the dump of the sealed tree beside EFI, which no host reads (sealwright seal --no-dump leaves it out):\n  /boot/6.12.0-test.dump\n";
    const passed = LINTS.length - 2;
    expect(run(sealed)).toEqual({
      status: 0,
      text: `${warning}Checks passed: ${passed}\nChecks skipped: 1\nWarnings: 1\n`,
    });
    expect(run(sealed, "--fatal-warnings")).toEqual({
      status: 1,
      text: `${warning}Checks passed: ${passed}\nChecks skipped: 1\nWarnings: 1\nerror: Checks failed: 1\n`,
    });
    expect(run(sealed, "--fatal-warnings", "--skip", "nonempty-boot")).toEqual({
      status: 0,
      text: `Checks passed: ${passed}\nChecks skipped: 2\n`,
    });
  });

  test("shows five paths, or all", async () => {
    const reference = `oci:${join(directory, "many")}:os`;
    const links = Array.from({ length: 7 }, (_, index) => ({ kind: "fifo" as const, path: `tmp/p${index}` }));
    await writeSmallOs(reference, { files: { "tmp/": "" }, tars: [tarLayer(links)] });
    expect(run(reference).text).toMatch(/^Lint warning: nonempty-run-tmp: .*:\n( {2}\S+\n){5} {2}\.\.\.and 3 more$/m);
    expect(run(reference, "--no-truncate").text).toMatch(/^Lint warning: nonempty-run-tmp: .*:\n( {2}\S+\n){8}/m);
    const { status, text } = run(reference, "--json");
    expect(status).toBe(1);
    const { findings } = JSON.parse(text) as { findings: { name: string }[] };
    expect(findings.find(({ name }) => name === "nonempty-run-tmp")).toMatchObject({
      level: "warning",
      code: "lint.state.run-tmp",
      paths: expect.arrayContaining(["/tmp/p6"]),
    });
  });

  test("names the layer that leaves out a parent", async () => {
    const reference = `oci:${join(directory, "parents")}:os`;
    await writeSmallOs(reference, { tars: [tarLayer([{ kind: "fifo", path: "srv/x/p" }])] });
    const { findings } = await lintImage(reference, { now: NOW });
    expect(findings.find(({ name }) => name === "layer-parents")).toMatchObject({
      level: "fatal",
      paths: ["/srv (layer 1)", "/srv/x (layer 1)"],
    });
  });

  test("lists the lints as bootc does", () => {
    const { text } = run("--list");
    expect(text.match(/^- name: /gm)).toHaveLength(LINTS.length);
    expect(text).toMatch(
      /^- name: buildah-injected\n {2}type: warning\n {2}description: ".*"\n {2}root_type: alternative$/m,
    );
    expect(text.indexOf("utf8")).toBeGreaterThan(text.indexOf("var-tmpfiles"));
    expect(JSON.parse(run("--list", "--json").text)).toHaveLength(LINTS.length);
  });

  test("refuses a dumpfile, and to lint nothing", () => {
    expect(run().status).toBe(64);
    expect(run("dump:test/vectors/composefs/dumps/simple.dump").status).toBe(64);
  });
});
