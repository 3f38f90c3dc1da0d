import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../../test/tools/disk.ts";
import {
  type HostFiles,
  measured,
  mountinfo,
  variable,
  variablePath,
  writeHost,
} from "../../../test/tools/host-tree.ts";
import { makeSealedDisk, NOW, type SealedDisk } from "../../../test/tools/sealed-disk.ts";
import { stubPath } from "../../../test/tools/ukify.ts";
import { computeAuthenticodeDigest } from "../../formats/authenticode/index.ts";
import { certificateList, encodeSignatureLists, imageHashList } from "../../formats/esl/index.ts";
import { buildUki } from "../../formats/uki/index.ts";
import { parseCertificates } from "../../formats/x509/index.ts";
import { parseGuid } from "../../lib/bytes/guid.ts";
import type { Link } from "../../model/verdict/verdict.ts";
import type { HostVerdict } from "./verdict.ts";
import { type VerifyHostOptions, verifyHost } from "./verify-host.ts";

let directory: string;
let disk: SealedDisk;
let esp: Readonly<Record<string, Uint8Array>>;
const path = (name: string): string => join(directory, name);
const OWNER = parseGuid("26dc4851-195f-4ae1-9a19-fbf883bbb35e");

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-host-"));
  disk = await makeSealedDisk(directory);
  const read = (name: string): Uint8Array => {
    run("mcopy", ["-o", "-i", `${disk.path}@@1M`, `::/${name}`, path("file")]);
    return readFileSync(path("file"));
  };
  const loader = "EFI/BOOT/BOOTX64.EFI";
  esp = { [loader]: read(loader), [disk.uki]: read(disk.uki) };
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function verify(changes: HostFiles = {}, options: Partial<VerifyHostOptions> = {}): Promise<HostVerdict> {
  writeHost(path("host"), directory, disk, { ...measured(started()), ...changes });
  return await verifyHost({
    certificates: [],
    now: NOW,
    root: path("host"),
    measure: () => Promise.resolve({ algorithm: "sha512", digestHex: disk.id }),
    ...options,
  });
}

const started = (): Uint8Array[] => Object.values(esp).map((bytes) => computeAuthenticodeDigest(bytes));

const codes = ({ links }: HostVerdict, status: Link["status"]): (string | undefined)[] =>
  links.filter((link) => link.status === status).map(({ code }) => code);

test("verifyHost() follows the chain from the firmware's keys to the root", async () => {
  const verdict = await verify();
  expect(verdict.links.filter(({ status }) => status !== "holds")).toEqual([]);
  expect([verdict.holds, verdict.exitCode, verdict.digest]).toEqual([true, 0, disk.id]);
  const shown = Object.fromEntries(verdict.links.map(({ detail, name }) => [name, detail]));
  expect(shown["secure-boot"]).toBe("on, not in setup mode, kernel lockdown integrity");
  expect(shown["esp"]).toMatch(/^\/dev\/vda2, 5 files$/);
  expect(shown["event-log"]).toBe(`replays to PCR 4 and 7; started EFI/BOOT/BOOTX64.EFI, ${disk.uki}`);
  expect(shown["state"]).toBe("/etc writable, /var writable");
  expect(shown["deployment"]).toMatch(/ostree-unverified-image:docker:\/\/registry\.example\/os:1$/);
});

test("verifyHost() reads an ESP that is mounted", async () => {
  const mount = "60 33 254:2 / /efi rw,relatime - vfat /dev/vda2 rw\n";
  const files = Object.fromEntries(Object.entries(esp).map(([name, bytes]) => [`efi/${name}`, bytes]));
  const verdict = await verify({ "proc/self/mountinfo": `${mountinfo(disk.id)}${mount}`, ...files });
  expect(verdict.links.find(({ name }) => name === "esp")?.detail).toBe("/efi, 2 files");
  expect(verdict.holds).toBe(true);
});

test("verifyHost() judges what a signed addon brings to the command line", async () => {
  const mount = "60 33 254:2 / /efi rw,relatime - vfat /dev/vda2 rw\n";
  const files = Object.fromEntries(Object.entries(esp).map(([name, bytes]) => [`efi/${name}`, bytes]));
  const host = async (words: string) => {
    const { bytes } = await buildUki(readFileSync(await stubPath("262-x64", "addon")), { cmdline: Buffer.from(words) });
    const addon = await disk.sign(bytes);
    return await verify({
      "proc/self/mountinfo": `${mountinfo(disk.id)}${mount}`,
      "proc/cmdline": `rw quiet composefs=${disk.id} ${words}\n`,
      ...files,
      [`efi/${disk.uki}.extra.d/a.addon.efi`]: addon,
      ...measured([...started(), computeAuthenticodeDigest(addon)]),
    });
  };
  const harmless = await host("loglevel=4");
  expect([harmless.holds, codes(harmless, "warning")]).toEqual([true, []]);
  expect(codes(await host("init=/bin/sh"), "broken")).toEqual(["addon.cmdline.init"]);
  expect(codes(await host("selinux=0"), "warning")).toEqual(["addon.cmdline.security-module"]);
});

test("verifyHost() goes by the certificates that are named, and tells how db differs", async () => {
  const own = await verify({}, { certificates: [disk.certificate] });
  expect([own.holds, codes(own, "warning")]).toEqual([true, []]);
  const stranger = await verify({}, { certificates: [path("stranger/db.crt")] });
  expect(codes(stranger, "warning")).toEqual(["host.keys.not-enrolled", "host.keys.others"]);
  expect(new Set(codes(stranger, "broken"))).toEqual(new Set(["pe.signature.untrusted", "seal.event-log.programs"]));
});

const replaced = (from: string | RegExp, to: string): HostFiles => ({
  "proc/self/mountinfo": mountinfo(disk.id).replaceAll(from, to),
});

describe("verifyHost() refuses", () => {
  const empty = variable(0x27, new Uint8Array());
  test.each<[string, () => HostFiles, string[]]>([
    [
      "Secure Boot that is off",
      () => ({ [variablePath.global("SecureBoot")]: Buffer.of(6, 0, 0, 0, 0) }),
      ["host.secure-boot.off"],
    ],
    [
      "setup mode",
      () => ({ [variablePath.global("SetupMode")]: Buffer.of(6, 0, 0, 0, 1) }),
      ["host.secure-boot.setup-mode"],
    ],
    [
      "a variable that says nothing",
      () => ({ [variablePath.global("SetupMode")]: Buffer.of(6, 0) }),
      ["host.efi-variable"],
    ],
    ["firmware without PK", () => ({ [variablePath.global("PK")]: null }), ["host.keys.missing"]],
    [
      "a db that allows nothing",
      () => ({ [variablePath.db]: empty }),
      ["pe.signature.untrusted", "pe.signature.untrusted", "pe.signature.untrusted", "seal.event-log.programs"],
    ],
    [
      "a UKI that dbx forbids",
      () => ({ [variablePath.dbx]: variable(0x27, forbid(esp[disk.uki] as Uint8Array)) }),
      ["pe.signature.revoked", "seal.event-log.programs"],
    ],
    [
      "a program that is not on the ESP",
      () => measured([...started(), Buffer.alloc(32, 7)]),
      ["seal.event-log.programs"],
    ],
    ["a UKI that firmware did not start", () => measured(started().slice(0, 1)), ["seal.event-log.uki"]],
    [
      "a log that is not that of the TPM",
      () => ({ "sys/class/tpm/tpm0/pcr-sha256/4": `${"00".repeat(32)}\n` }),
      ["seal.event-log.replay"],
    ],
    [
      "no digest on the command line",
      () => ({ "proc/cmdline": "rw quiet\n" }),
      ["uki.cmdline.digest-missing", "host.command-line.differs"],
    ],
    ["another command line", () => ({ "proc/cmdline": `rw composefs=${disk.id}\n` }), ["host.command-line.differs"]],
    [
      "words that nobody signed",
      () => ({ "proc/cmdline": `rw quiet composefs=${disk.id} init=/bin/sh\n` }),
      ["host.command-line.added"],
    ],
    [
      "verity that is optional",
      () => ({ "proc/cmdline": `rw quiet composefs=?${disk.id}\n` }),
      ["uki.cmdline.verity-optional", "host.command-line.differs"],
    ],
    ["a root without verity=require", () => replaced(",verity=require", ""), ["host.root.verity-optional"]],
    ["an ordinary root", () => replaced(/overlay composefs:\S+/g, "ext4 /dev/vda3"), ["host.root.not-composed"]],
    [
      "a root of another tree",
      () => replaced(`composefs:${disk.id}`, `composefs:${"ab".repeat(64)}`),
      [
        "host.uki.missing",
        "host.image.digest-differs",
        "host.root.other-digest",
        "host.deployment.missing",
        "host.state.other-deployment",
      ],
    ],
    [
      "a root that can be written to",
      () => replaced(/ \/ \/ ro,(.*) ro,/g, " / / rw,$1 rw,"),
      ["host.root.writable", "host.usr.writable"],
    ],
    [
      "something over /usr",
      () => ({ "proc/self/mountinfo": `${mountinfo(disk.id)}70 33 0:50 / /usr ro - overlay sysext ro\n` }),
      ["host.usr.covered"],
    ],
    [
      "something over a part of /usr",
      () => ({ "proc/self/mountinfo": `${mountinfo(disk.id)}70 33 0:50 / /usr/bin ro - tmpfs tmpfs ro\n` }),
      ["host.usr.covered"],
    ],
    [
      "an /etc of another deployment",
      () => replaced(`/deploy/${disk.id}/etc`, `/deploy/${"cd".repeat(64)}/etc`),
      ["host.state.other-deployment"],
    ],
    ["mounts that cannot be read", () => ({ "proc/self/mountinfo": "33 1 0:25 /\n" }), ["thrown host.mountinfo"]],
    ["a system without /proc", () => ({ "proc/cmdline": null }), ["thrown host.no-proc"]],
  ])("%s", async (_, changes, expected) => {
    const found = await verify(changes()).catch((error: { code: string }) => error.code);
    expect(typeof found === "string" ? [`thrown ${found}`] : codes(found, "broken")).toEqual(expected);
    if (typeof found !== "string") expect([found.holds, found.exitCode === 0]).toEqual([false, false]);
  });

  test("an image that the kernel does not measure, or measures otherwise", async () => {
    const without = await verify({}, { measure: () => Promise.resolve(undefined) });
    expect(codes(without, "broken")).toEqual(["host.image.no-verity"]);
    const other = { algorithm: "sha512", digestHex: "ab".repeat(64) } as const;
    expect(codes(await verify({}, { measure: () => Promise.resolve(other) }), "broken")).toEqual([
      "host.image.digest-differs",
    ]);
  });

  test("a UKI on a mounted ESP that is not signed, and no boot loader", async () => {
    const mount = "60 33 254:2 / /efi rw,relatime - vfat /dev/vda2 rw\n";
    const uki = await disk.buildUki(`rw quiet composefs=${disk.id}`);
    const changes = { "proc/self/mountinfo": `${mountinfo(disk.id)}${mount}`, [`efi/${disk.uki}`]: uki };
    const verdict = await verify({ ...changes, ...measured([]) });
    expect(codes(verdict, "broken")).toEqual(["host.boot-loader.missing", "pe.signature.absent", "seal.event-log.uki"]);
  });
});

function forbid(program: Uint8Array): Uint8Array {
  return encodeSignatureLists([imageHashList(OWNER, [computeAuthenticodeDigest(program)])]);
}

describe("verifyHost() warns of", () => {
  test.each<[string, () => HostFiles, string[]]>([
    [
      "a machine without TPM",
      () => ({ "sys/kernel/security/tpm0/binary_bios_measurements": null }),
      ["host.event-log.missing"],
    ],
    [
      "a kernel without lockdown",
      () => ({ "sys/kernel/security/lockdown": "[none] integrity confidentiality\n" }),
      ["host.lockdown.off"],
    ],
    ["an /etc that is read-only", () => replaced(" /etc rw,", " /etc ro,"), ["host.state.read-only"]],
    [
      "a layer in memory over the tree",
      () =>
        replaced(
          /overlay composefs:(\S+) ro,\S+/g,
          "overlay transient:composefs=$1 rw,lowerdir=/root,upperdir=/t/upper",
        ),
      ["host.root.transient"],
    ],
  ])("%s", async (_, changes, expected) => {
    const verdict = await verify(changes());
    expect([verdict.holds, codes(verdict, "warning")]).toEqual([true, expected]);
  });

  test("other certificates in db", async () => {
    const certificate = (name: string) => parseCertificates(readFileSync(path(`${name}/db.crt`)), name)[0];
    const lists = ["keys", "stranger"].map((name) => certificateList(OWNER, certificate(name)?.der as Uint8Array));
    const db = { [variablePath.db]: variable(0x27, encodeSignatureLists(lists)) };
    const verdict = await verify(db, { certificates: [disk.certificate] });
    expect([verdict.holds, codes(verdict, "warning")]).toEqual([true, ["host.keys.others"]]);
  });
});
