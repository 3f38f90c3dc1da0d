import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { KERNEL_VERSION, writeSmallOs } from "../../../test/small-os.ts";
import { stubPath } from "../../../test/tools/ukify.ts";
import { openTreeSource } from "../../model/source/tree-source.ts";
import { lookup } from "../../model/tree/tree.ts";
import { diffImages } from "../diff/diff-images.ts";
import { computeDigests } from "../digest/compute-digests.ts";
import { inspectImage } from "../inspect/inspect-image.ts";
import { generateKeys } from "../keys/generate-keys.ts";
import { buildAddon } from "../uki/build-addon.ts";
import { listAddons } from "../uki/list-addons.ts";
import { openPeSigner } from "../uki/pe-signer.ts";
import { verifyImage } from "../verify/verify-image.ts";
import { sealImage } from "./seal-image.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
let directory: string;
let os: string;
let stub: string;
let count = 0;
const path = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-seal-addon-"));
  for (const name of ["keys", "stranger"]) {
    await generateKeys({ directory: path(name), now: new Date("2026-01-01T00:00:00Z"), randomBytes });
  }
  os = `oci:${path("os")}`;
  await writeSmallOs(os);
  stub = await stubPath("262-x64", "addon");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const addon = async (name: string, cmdline: string, more: { uname?: string; allowBreakingSeal?: boolean } = {}) =>
  (
    await buildAddon({
      output: path(`${name}.addon.efi`),
      overwrite: true,
      stub,
      architecture: "x64",
      cmdline,
      ...more,
    })
  ).output;

async function seal(addons: readonly string[], from = os) {
  const to = `oci:${path(`sealed-${count++}`)}`;
  const signing = { key: path("keys/db.key"), certificatePath: path("keys/db.crt"), now: NOW };
  return { to, report: await sealImage(from, { to, addons, ...signing }) };
}

const verify = (reference: string) => verifyImage(reference, { certificates: [path("keys/db.crt")], now: NOW });

async function readFile(reference: string, name: string): Promise<Uint8Array> {
  await using source = await openTreeSource(reference, { algorithms: ["sha512"] });
  const node = lookup(source.tree, name);
  if (node?.kind !== "file") throw new Error(`no ${name}`);
  return (await source.read([node.content]))[0] as Uint8Array;
}

test("sealImage() signs addons, ships them where bootc looks, and leaves the digest alone", async () => {
  const { report, to } = await seal([await addon("one", "quiet"), `global:${await addon("all", "console=ttyS0")}`]);
  const own = `/boot/EFI/Linux/${KERNEL_VERSION}.efi.extra.d/one.addon.efi`;
  expect(report.addons).toEqual([
    { path: own, commandLine: "quiet" },
    { path: "/boot/loader/addons/all.addon.efi", commandLine: "console=ttyS0" },
  ]);
  const plain = await seal([]);
  expect(plain.report.digest).toBe(report.digest);
  expect((await computeDigests(to)).digests).toEqual({ "v1-sha512": report.digest });
  writeFileSync(path("shipped.efi"), await readFile(to, own.slice(1)));
  execFileSync("sbverify", ["--cert", path("keys/db.crt"), path("shipped.efi")], { stdio: "pipe" });
  expect((await listAddons(to)).addons).toMatchObject([
    { path: own, scope: `${KERNEL_VERSION}.efi`, signatures: [{ subject: "CN=Secure Boot db" }], problems: [] },
    { path: "/boot/loader/addons/all.addon.efi", scope: "global", commandLine: "console=ttyS0" },
  ]);
  expect((await inspectImage(to)).addons).toMatchObject([
    { path: own, commandLine: "quiet", signers: ["CN=Secure Boot db"], problems: [] },
    { commandLine: "console=ttyS0" },
  ]);
  const verdict = await verify(to);
  expect(verdict.holds).toBe(true);
  expect(verdict.links.filter(({ name }) => name === "uki").map(({ detail }) => detail)).toEqual([
    expect.stringContaining("kernel"),
    expect.stringContaining(`${own}, addon "quiet", signed by CN=Secure Boot db`),
    expect.stringContaining('all.addon.efi, addon "console=ttyS0"'),
  ]);
});

test("diffImages() shows what an addon says, and what it said before", async () => {
  const one = await seal([await addon("same", "quiet console=ttyS0")]);
  const two = await seal([await addon("same", "console=ttyS0 debug"), await addon("more", "nosmt")]);
  const { ukis } = await diffImages(one.to, two.to, {});
  const shown = ukis.filter(({ path: name }) => name.endsWith(".addon.efi"));
  expect(shown.map(({ change, commandLine }) => [change, commandLine])).toEqual([
    ["added", { added: ["nosmt"], removed: [] }],
    ["changed", { added: ["debug"], removed: ["quiet"] }],
  ]);
});

test("sealImage() keeps an addon that its key signed before", async () => {
  const signing = { key: path("keys/db.key"), certificatePath: path("keys/db.crt"), now: NOW };
  await using signer = await openPeSigner({ ...signing, buildTime: new Date("2026-02-03T00:00:00Z") });
  const file = await addon("signed", "quiet");
  const signed = (await signer?.sign(readFileSync(file))) as Uint8Array;
  writeFileSync(file, signed);
  const { to } = await seal([file]);
  const shipped = await readFile(to, `boot/EFI/Linux/${KERNEL_VERSION}.efi.extra.d/signed.addon.efi`);
  expect(Buffer.from(shipped).equals(signed)).toBe(true);
});

describe("sealImage() refuses", () => {
  test.each<[string, string, () => Promise<string[]>]>([
    [
      "an addon that breaks the seal",
      "addon.cmdline.init",
      async () => [await addon("a", "init=/x", { allowBreakingSeal: true })],
    ],
    ["one for another kernel", "seal.addon.other-kernel", async () => [await addon("a", "quiet", { uname: "5.0" })]],
    ["two of one name", "seal.addon.twice", async () => Array(2).fill(await addon("a", "quiet")) as string[]],
    ["a file of another name", "addon.name", async () => ["/tmp/a.efi"]],
    ["one that is not there", "input.not-found", async () => ["/nowhere/a.addon.efi"]],
    [
      "more arguments than the kernel keeps",
      "seal.addon.command-line-too-long",
      async () => [await addon("a", "x".repeat(1000)), await addon("b", "y".repeat(1000))],
    ],
  ])("%s", async (_, code, addons) => {
    expect(await codeOfAsync(async () => seal(await addons()))).toBe(code);
  });
});

describe("verifyImage() finds", () => {
  /** An image that had the addon before it was sealed: sealing does not touch it. */
  async function withAddon(file: Uint8Array): Promise<string> {
    const from = `oci:${path(`os-${count++}`)}`;
    const places = { "boot/loader/": "", "boot/loader/addons/": "", "boot/loader/addons/own.addon.efi": file };
    await writeSmallOs(from, { files: places });
    return (await seal([], from)).to;
  }

  async function signedBy(keys: string, file: string): Promise<Uint8Array> {
    const signing = { key: path(`${keys}/db.key`), certificatePath: path(`${keys}/db.crt`), now: NOW };
    await using signer = await openPeSigner({ ...signing, buildTime: undefined });
    return (await signer?.sign(readFileSync(file))) as Uint8Array;
  }

  test.each<[string, string, () => Promise<Uint8Array>]>([
    ["an unsigned addon", "pe.signature.absent", async () => readFileSync(await addon("v", "quiet"))],
    ["an addon of a stranger", "pe.signature.untrusted", async () => signedBy("stranger", await addon("v", "quiet"))],
    [
      "a signed addon with another root",
      "addon.cmdline.root",
      async () => signedBy("keys", await addon("v", "root=/dev/sdb", { allowBreakingSeal: true })),
    ],
  ])("%s", async (_, code, bytes) => {
    const verdict = await verify(await withAddon(await bytes()));
    expect(verdict.holds).toBe(false);
    expect(verdict.links.filter(({ status }) => status === "broken").map((link) => link.code)).toEqual([code]);
  });

  test("an addon for another kernel, which has no effect", async () => {
    const bytes = await signedBy("keys", await addon("v", "quiet", { uname: "5.0" }));
    const verdict = await verify(await withAddon(bytes));
    expect(verdict.holds).toBe(true);
    expect(verdict.links.find(({ status }) => status === "warning")?.code).toBe("addon.other-kernel");
  });
});
