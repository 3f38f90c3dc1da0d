import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { sharedFixture } from "../../../test/fixtures.ts";
import { buildWithUkify, hwidsPath, stubPath } from "../../../test/tools/ukify.ts";
import { attachPcrSignatures, buildUkiFile } from "./build-uki-file.ts";
import { inspectUkiFile } from "./inspect-uki-file.ts";

const fixture = (path: string): string => sharedFixture(`secureboot/${path}`);
let directory = "";
let stub = "";
let addonStub = "";
let outputs = 0;
const newOutput = (): string => join(directory, `out${outputs++}.efi`);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-uki-"));
  stub = await stubPath("262-x64", "linux");
  addonStub = await stubPath("262-x64", "addon");
});
afterAll(async () => await rm(directory, { recursive: true }));

const fixtureOptions = () => ({
  stub,
  linux: fixture("uki/in/linux.bin"),
  initrds: [fixture("uki/in/initrd1.bin"), fixture("uki/in/initrd2.bin")],
  cmdline: "  root=/dev/sda1   quiet ",
  osRelease: `@${fixture("uki/in/os-release")}`,
  uname: "1.2.3",
  dtb: fixture("uki/in/test.dtb"),
  dtbautos: [fixture("uki/in/auto1.dtb"), fixture("uki/in/auto2.dtb")],
  hwids: fixture("uki/in/hwids"),
  splash: fixture("uki/in/splash.bmp"),
  microcode: fixture("uki/in/ucode.bin"),
  sections: [".foo:bar"],
  pcrBanks: ["sha256"] as const,
});
const keyContext = { now: new Date("2026-06-01"), allowLooseKeyPermissions: true };
const pcrKey = () => ({
  publicKeyPath: fixture("keys/test-pcr.pub.pem"),
  phasePaths: ["enter-initrd"],
  ...keyContext,
});

test("buildUkiFile() writes what ukify wrote from the same files and flags", async () => {
  const output = newOutput();
  const pcrKeys = [{ ...pcrKey(), key: fixture("keys/test-pcr.key") }];
  const report = await buildUkiFile({ ...fixtureOptions(), output, pcrKeys });
  expect(report).toMatchObject({ output, uname: "1.2.3" });
  expect(Buffer.compare(await readFile(output), await readFile(fixture("uki/full.unsigned.efi")))).toBe(0);
});

test("attachPcrSignatures() completes a UKI that was built without the private key", async () => {
  const [prepared, output, json] = [newOutput(), newOutput(), join(directory, "signed.json")];
  await buildUkiFile({ ...fixtureOptions(), output: prepared, pcrKeys: [pcrKey()] });
  const text = (await inspectUkiFile(prepared)).sections[".pcrsig"] as { text: string };
  const policies = JSON.parse(text.text) as { sha256: { tbs: string; sig?: string }[] };
  for (const policy of policies.sha256) {
    const sign = ["dgst", "-sha256", "-sign", fixture("keys/test-pcr.key")];
    policy.sig = execFileSync("openssl", sign, { input: Buffer.from(policy.tbs, "hex") }).toString("base64");
  }
  await writeFile(json, JSON.stringify(policies));
  await attachPcrSignatures(prepared, json, { output });
  const attached = (await inspectUkiFile(output)).sections[".pcrsig"] as { text: string };
  expect(JSON.parse(attached.text)).toEqual(policies);
});

test("hardware ids of systemd make the section that ukify makes", async () => {
  const output = newOutput();
  const hwids = await hwidsPath();
  await buildUkiFile({ stub: addonStub, output, cmdline: "x", hwids });
  const theirs = await buildWithUkify([`--stub=${addonStub}`, "--cmdline=x", `--hwids=${hwids}`], {});
  expect(Buffer.compare(await readFile(output), theirs)).toBe(0);
});

test("inspectUkiFile() tells what each profile boots", async () => {
  const facts = await inspectUkiFile(fixture("uki/multi.unsigned.efi"));
  expect(facts).toMatchObject({ kind: "uki", architecture: "amd64", stubVersion: 262, signatures: 0 });
  expect(facts.profiles.map(({ id, cmdline, uname }) => [id, cmdline, uname])).toEqual([
    ["main", "root=/dev/sda1 quiet", "1.2.3"],
    ["alt", "root=/dev/sda1 profile=alt", "1.2.3"],
  ]);
  const signed = await inspectUkiFile(fixture("uki/min.signed.efi"));
  expect(signed.signatures).toBe(1);
  expect(signed.checksum.stored).toBe(signed.checksum.computed);
});

test.each([
  ["uki.os-release.absent", { linux: "x" }],
  ["uki.stub.architecture", { cmdline: "x" }],
  ["input.not-found", { stub: "/nonexistent" }],
  ["input.not-found", { cmdline: "@/nonexistent" }],
  ["input.not-found", { hwids: "/nonexistent" }],
  ["uki.section.spec", { sections: [".foo"] }],
  ["uki.section.name", { stub: "addon", sections: [".toolongname:x"] }],
  ["uki.pcr.key-absent", { pcrKeys: [keyContext] }],
  ["uki.pcr.key-absent", { stub: "addon", signInitrdPcrs: true }],
])("buildUkiFile() refuses with %s", async (code, options) => {
  const output = newOutput();
  const known = "stub" in options && options.stub === "addon" ? { stub: addonStub } : {};
  expect(await codeOfAsync(() => buildUkiFile({ output, ...options, ...known }))).toBe(code);
  await expect(readFile(output)).rejects.toMatchObject({ code: "ENOENT" });
});

test("buildUkiFile() refuses keys that do not belong together, and to replace a file unasked", async () => {
  const output = newOutput();
  const wrong = { ...pcrKey(), key: fixture("keys/test-db.key") };
  const base = { stub: addonStub, cmdline: "x", output };
  expect(await codeOfAsync(() => buildUkiFile({ ...base, pcrKeys: [wrong] }))).toBe("uki.pcr.key-mismatch");
  expect(await codeOfAsync(() => buildUkiFile(base))).toBe("accepted");
  expect(await codeOfAsync(() => buildUkiFile(base))).toBe("output.exists");
});

test("buildUkiFile() signs with what it is given", async () => {
  const output = newOutput();
  await buildUkiFile({
    stub: addonStub,
    cmdline: "x",
    output,
    sign: async (pe) => Buffer.concat([pe, Buffer.from("signed")]),
  });
  expect((await readFile(output)).toString("latin1").endsWith("signed")).toBe(true);
});
