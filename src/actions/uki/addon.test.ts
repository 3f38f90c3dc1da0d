import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { sharedFixture, vector } from "../../../test/fixtures.ts";
import { buildWithUkify, stubPath } from "../../../test/tools/ukify.ts";
import { checkAddonCommandLine } from "../../model/os/index.ts";
import { type BuildAddonOptions, buildAddon } from "./build-addon.ts";
import { inspectAddon, listAddons } from "./list-addons.ts";
import { openPeSigner } from "./pe-signer.ts";

let directory: string;
let stub: string;
const path = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-addon-"));
  stub = await stubPath("262-x64", "addon");
  for (const name of ["initrd", "board.dtb", "ucode"]) writeFileSync(path(name), `${name} bytes`);
});
afterAll(() => rmSync(directory, { recursive: true }));

const build = (name: string, options: Partial<BuildAddonOptions>) =>
  buildAddon({ output: path(name), stub, architecture: "x64", overwrite: true, ...options });

describe("buildAddon() writes what ukify writes:", () => {
  const sbat = "sbat,1,SBAT Version,sbat,1,https://example.com/\nmine,3,Me,mine,1,https://example.com/\n";
  test.each<[string, readonly string[], () => Partial<BuildAddonOptions>]>([
    ["a command line", ["--cmdline=console=ttyS0  quiet"], () => ({ cmdline: "console=ttyS0  quiet" })],
    ["a devicetree", ["--devicetree={board.dtb}"], () => ({ dtb: path("board.dtb") })],
    ["an initrd", ["--initrd={initrd}"], () => ({ initrds: [path("initrd")] })],
    [
      "microcode for one kernel",
      ["--microcode={ucode}", "--uname=6.12"],
      () => ({ microcode: path("ucode"), uname: "6.12" }),
    ],
    [
      "all of them, with SBAT",
      ["--cmdline=quiet", "--devicetree={board.dtb}", "--initrd={initrd}", "--microcode={ucode}", `--sbat=${sbat}`],
      () => ({
        cmdline: "quiet",
        dtb: path("board.dtb"),
        initrds: [path("initrd")],
        microcode: path("ucode"),
        sbat: [sbat],
      }),
    ],
  ])("%s", async (_, args, options) => {
    const files = Object.fromEntries(["initrd", "board.dtb", "ucode"].map((name) => [name, readFileSync(path(name))]));
    const theirs = await buildWithUkify([`--stub=${stub}`, ...args], files);
    await build("ours.addon.efi", options());
    expect(readFileSync(path("ours.addon.efi")).equals(theirs)).toBe(true);
  });
});

test("buildAddon() signs, sbverify accepts, inspectAddon() says what is in it", async () => {
  const [key, certificatePath] = [vector("secureboot/keys/test-db.key"), vector("secureboot/keys/test-db.crt")];
  const rules = { allowLooseKeyPermissions: true, buildTime: undefined, now: new Date("2026-06-01T00:00:00Z") };
  await using signer = await openPeSigner({ key, certificatePath, ...rules });
  const report = await build("signed.addon.efi", { cmdline: "quiet", uname: "6.12.0", sign: signer?.sign });
  expect(report).toMatchObject({ signed: true, problems: [] });
  execFileSync("sbverify", ["--cert", certificatePath, path("signed.addon.efi")], { stdio: "pipe" });
  expect(await inspectAddon(path("signed.addon.efi"))).toMatchObject({
    signatures: [{ subject: "CN=test db" }],
    commandLine: "quiet",
    kernel: "6.12.0",
    sections: [{ name: ".cmdline", size: 5 }],
    sbat: ["sbat,1", "uki-addon,1"],
    problems: [],
  });
});

describe("buildAddon() refuses", () => {
  test.each<[string, string, Partial<BuildAddonOptions>]>([
    ["a name that the stub passes over", "addon.name", { output: "/tmp/serial.efi" }],
    ["an addon of nothing", "addon.empty", {}],
    ["another digest", "addon.cmdline.digest", { cmdline: `composefs=${"0".repeat(128)}` }],
    ["an absent input", "input.not-found", { initrds: ["/nowhere/initrd"] }],
  ])("%s", async (_, code, options) => {
    expect(await codeOfAsync(() => build("no.addon.efi", options))).toBe(code);
  });

  test("what breaks a seal, unless it is allowed", async () => {
    const cmdline = "init=/bin/sh";
    expect(await codeOfAsync(() => build("no.addon.efi", { cmdline }))).toBe("addon.cmdline.init");
    expect((await build("yes.addon.efi", { cmdline, allowBreakingSeal: true })).problems).toMatchObject([
      { code: "addon.cmdline.init", breaksSeal: true },
    ]);
  });

  test("more sections than the stub has room for", async () => {
    const dtbautos = Array.from({ length: 16 }, () => path("board.dtb"));
    expect(await codeOfAsync(() => build("no.addon.efi", { dtbautos, cmdline: "quiet" }))).toBe(
      "uki.stub.header-space",
    );
  });
});

test("buildAddon() warns of an initrd, which can replace the program that checks the digest", async () => {
  expect((await build("initrd.addon.efi", { initrds: [path("initrd")] })).problems).toMatchObject([
    { code: "addon.initrd", breaksSeal: false },
  ]);
});

describe("checkAddonCommandLine()", () => {
  test.each([
    ["quiet console=ttyS0,115200 rd.luks.name=x=y loglevel=7", []],
    [`composefs=?${"0".repeat(128)}`, ["addon.cmdline.verity-optional"]],
    [`composefs.digest=v1-sha512-12:${"0".repeat(128)}`, ["addon.cmdline.digest"]],
    ['init="/bin/sh"', ["addon.cmdline.init"]],
    ["rdinit=/bin/sh", ["addon.cmdline.init"]],
    ["root=/dev/sdb rootflags=x", ["addon.cmdline.root"]],
    ["rd.break", ["addon.cmdline.shell"]],
    ["rd.systemd.debug-shell=1", ["addon.cmdline.shell"]],
    ["systemd.debug_shell", ["addon.cmdline.shell"]],
    ["SYSTEMD_SULOGIN_FORCE=1", ["addon.cmdline.shell"]],
    ["break=premount", ["addon.cmdline.shell"]],
    ["single", ["addon.cmdline.shell"]],
    ["systemd.unit=rescue.target", ["addon.cmdline.shell"]],
    ["systemd.unit=multi-user.target", ["addon.cmdline.unit"]],
    ["systemd.mask=auditd.service", ["addon.cmdline.unit"]],
    ["systemd.run=/bin/x", ["addon.cmdline.unit"]],
    ["selinux=0 enforcing=0", ["addon.cmdline.security-module"]],
    ["lockdown=none", ["addon.cmdline.kernel-protection"]],
    ["quiet\u00a0x", ["addon.cmdline.character"]],
  ])("finds in %s: %j", (commandLine, codes) => {
    expect(checkAddonCommandLine(commandLine).map(({ code }) => code)).toEqual(codes);
  });
});

test("checkAddonCommandLine() finds more than the kernel keeps", () => {
  expect(checkAddonCommandLine("x".repeat(2047))).toEqual([]);
  expect(checkAddonCommandLine("x".repeat(2048))).toMatchObject([{ code: "addon.cmdline.too-long" }]);
});

test("listAddons() refuses what is neither program, disk nor image, and a UKI is no addon", async () => {
  expect(await codeOfAsync(() => listAddons(path("initrd")))).toBe("programs.kind");
  expect(await codeOfAsync(() => inspectAddon(sharedFixture("secureboot/uki/min.unsigned.efi")))).toBe("addon.kind");
});
