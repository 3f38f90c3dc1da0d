import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { checkCredentials, checkScript, type GuestReport, parseReport } from "./guest-check.ts";
import { checkSeal } from "./seal-checks.ts";
import type { SealedDisk } from "./sealed-disk.ts";

const digest = "3a".repeat(64);
const commandLine = `rw root=PARTLABEL=root composefs=${digest}`;
const disk = { commandLine, digest } as SealedDisk;

/** As a sealed Debian answers. */
const answers = {
  begin: "1",
  cmdline: commandLine,
  root: `33 1 0:25 / / ro,relatime shared:1 - overlay composefs:${digest} ro,lowerdir=/run/a::/run/b,redirect_dir=on,metacopy=on,verity=require`,
  "secure-boot": "0600000001",
  "setup-mode": "0600000000",
  measured: `sha512:${digest} /sysroot/composefs/images/${digest}`,
  "writable/etc": "yes",
  "writable/var": "yes",
  "writable/usr": "no",
  "pcr-7": "AB".repeat(32),
  "event-log": "aGVsbG8=",
  read: "ok /usr/share/common-licenses/GPL 3",
  end: "1",
};

const reportOf = (changes: Partial<typeof answers>): GuestReport =>
  parseReport(
    `EFI stub: from the firmware\r\n${Object.entries({ ...answers, ...changes })
      .map(([name, value]) => `${name} ${value}\r\n`)
      .join("")}`,
  );

const broken = (changes: Partial<typeof answers>): (string | undefined)[] =>
  checkSeal(reportOf(changes), disk)
    .filter(({ status }) => status === "broken")
    .map(({ code }) => code);

test("parseReport() reads every answer", () => {
  const report = reportOf({});
  expect(report.pcrs).toEqual(new Map([[7, "ab".repeat(32)]]));
  expect(report.eventLog).toEqual(Buffer.from("hello"));
  expect(report.reads).toEqual(new Map([["/usr/share/common-licenses/GPL 3", "ok"]]));
  const failed = reportOf({ read: "Input/output error /usr/share/a" });
  expect(failed.reads).toEqual(new Map([["/usr/share/a", "Input/output error"]]));
});

test("parseReport() refuses a report that was cut", () => {
  expect(codeOf(() => parseReport("begin 1\ncmdline rw\n"))).toBe("machine.report.incomplete");
});

test("checkSeal() holds for a sealed system, and for one with a transient root", () => {
  expect(broken({})).toEqual([]);
  expect(broken({ root: answers.root.replace("composefs:", "transient:composefs=") })).toEqual([]);
});

describe("checkSeal() breaks", () => {
  test.each<[string, string, Partial<typeof answers>]>([
    ["Secure Boot is off", "seal.secure-boot.off", { "secure-boot": "0600000000" }],
    ["Secure Boot is unknown", "seal.secure-boot.off", { "secure-boot": "" }],
    ["the firmware is in setup mode", "seal.secure-boot.off", { "setup-mode": "0600000001" }],
    ["the command line has a word more", "seal.command-line.differs", { cmdline: `${commandLine} init=/bin/sh` }],
    ["the root does not ask for verity", "seal.root.not-verified", { root: answers.root.replace("require", "on") }],
    [
      "verity is asked of the mount alone",
      "seal.root.not-verified",
      { root: "33 1 0:25 / / ro,verity=require - overlay x ro" },
    ],
    [
      "the root is of another digest",
      "seal.root.not-verified",
      { root: answers.root.replace(`:${digest}`, `:${"00".repeat(64)}`) },
    ],
    ["the root is no overlay", "seal.root.not-verified", { root: answers.root.replace("- overlay", "- ext4") }],
    ["the root is not known", "seal.root.not-verified", { root: "" }],
    ["the kernel measured another image", "seal.image.digest-differs", { measured: `sha512:${"00".repeat(64)} x` }],
    ["the image has no fs-verity", "seal.image.digest-differs", { measured: "" }],
    ["/usr can be written", "seal.usr.writable", { "writable/usr": "yes" }],
    ["/etc cannot be written", "seal.state.read-only", { "writable/etc": "no" }],
  ])("when %s", (_, code, changes) => {
    expect(broken(changes)).toEqual([code]);
  });
});

test("checkScript() quotes what it reads, and answers on the port it is told", () => {
  const script = checkScript("/dev/ttyX", ["/a b", "/it's"]);
  expect(script).toContain(`for path in '/a b' '/it'\\''s'; do`);
  expect(script).toContain("exec 2>/dev/null >/dev/ttyX\n");
});

test("checkCredentials() asks the system, not its initial RAM file system, on the port of its architecture", () => {
  const credentials = checkCredentials("aarch64");
  expect([...credentials.keys()]).toEqual([
    "systemd.extra-unit.sealwright-check.service",
    "systemd.unit-dropin.sysinit.target~sealwright",
    "sealwright.check",
  ]);
  const [unit, , script] = [...credentials.values()].map((value) => Buffer.from(value).toString());
  expect(unit).toContain("ConditionPathExists=!/etc/initrd-release");
  expect(script).toContain("/dev/ttyS0");
});
