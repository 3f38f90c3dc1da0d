import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { encodeGpt, PARTITION_TYPES } from "../../formats/gpt/index.ts";
import { libvirtDomain } from "./libvirt-domain.ts";

const directory = mkdtempSync(join(tmpdir(), "sealwright-domain-"));
afterAll(() => rmSync(directory, { recursive: true }));

const SIZE = 16 << 20;
const store = join(directory, "vars & keys.fd");

/** A disk whose root partition has the type of an architecture, and nothing in it. */
function writeDisk(name: string, typeGuid: Uint8Array): string {
  const disk = Buffer.alloc(SIZE);
  const guid = (last: number): Uint8Array => new Uint8Array(16).fill(1).fill(last, 15);
  const root = { typeGuid, uniqueGuid: guid(2), firstLba: 2048, lastLba: 8191, attributes: 0n, name: "root" };
  for (const { bytes, offset } of encodeGpt(SIZE, { diskGuid: guid(3), partitions: [root] })) disk.set(bytes, offset);
  const path = join(directory, name);
  writeFileSync(path, disk);
  return path;
}

test.each([
  ["x86_64", PARTITION_TYPES.rootX86_64, "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"],
  ["aarch64", PARTITION_TYPES.rootArm64, "/usr/share/AAVMF/AAVMF_CODE"],
])("libvirtDomain() of %s is what libvirt's schema knows", async (architecture, type, firmware) => {
  const xml = await libvirtDomain(writeDisk(`${architecture}.raw`, type), { config: directory, store, memory: 2048 });
  const path = join(directory, "domain.xml");
  writeFileSync(path, xml);
  // Says "validates" on standard error; what does not is an exit status.
  execFileSync("virt-xml-validate", [path, "domain"], { stdio: ["ignore", "pipe", "pipe"] });
  expect(xml).toContain(`arch="${architecture}"`);
  expect(xml).toContain(firmware);
  expect(xml).toContain("vars &amp; keys.fd");
});

test("libvirtDomain() refuses to go without a variable store", async () => {
  const disk = writeDisk("disk.raw", PARTITION_TYPES.rootX86_64);
  expect(await codeOfAsync(() => libvirtDomain(disk, { config: directory }))).toBe("machine.domain.no-store");
});
