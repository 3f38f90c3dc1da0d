/** A disk of a real Debian: built through the command line, booted by firmware that knows no key but ours. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireDebianImage } from "../../scripts/debian-image.ts";
import { run } from "../tools/disk.ts";

const program = fileURLToPath(new URL("../../bin/sealwright.cjs", import.meta.url));
const MIB = 1 << 20;

let directory: string;
let sealed: string;
let report: {
  readonly deployment: { readonly id: string };
  readonly partitions: readonly { readonly name: string; readonly offset: number; readonly size: number }[];
  readonly objects: { readonly count: number };
};

const place = (name: string): string => join(directory, name);

function json(...args: string[]) {
  const env = { ...process.env, XDG_CACHE_HOME: place("cache") };
  const { status, stderr, stdout } = spawnSync(process.execPath, [program, ...args, "--json"], {
    encoding: "utf8",
    env,
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`sealwright ${args.join(" ")}: ${status}\n${stderr}`);
  return JSON.parse(stdout);
}

beforeAll(async () => {
  const base = await requireDebianImage();
  directory = mkdtempSync(join(tmpdir(), "sealwright-e2e-disk-"));
  sealed = `oci:${place("sealed")}:trixie`;
  json("keys", "generate", place("keys"));
  json("seal", base, "--to", sealed, "--key", place("keys/db.key"), "--cert", place("keys/db.crt"));
  report = json("disk", "build", sealed, "-o", place("os.raw"), "--hostname", "tested", "--enroll-keys", place("keys"));
}, 600_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("the disk of a Debian is sound to gdisk, fsck.fat and e2fsck, and verifies", () => {
  expect(run("sgdisk", ["-v", place("os.raw")])).toContain("No problems found");
  for (const [name, check] of [
    ["EFI-SYSTEM", "fsck.fat"],
    ["root", "e2fsck"],
  ] as const) {
    const { offset = 0, size = 0 } = report.partitions.find((partition) => partition.name === name) ?? {};
    const args = [`if=${place("os.raw")}`, `of=${place(name)}`, "bs=1M", "conv=sparse"];
    run("dd", [...args, `skip=${offset / MIB}`, `count=${size / MIB}`]);
    run(check, [check === "e2fsck" ? "-fn" : "-n", place(name)]);
  }
  expect(json("verify", place("os.raw"), "--cert", place("keys/db.crt"))).toMatchObject({ holds: true });
});

test("fsverity gives every object of a Debian the digest that it is named by", () => {
  run("debugfs", ["-R", `rdump /composefs/objects ${directory}`, place("root")]);
  const objects = run("find", [place("objects"), "-type", "f"])
    .trim()
    .split("\n");
  expect(objects).toHaveLength(report.objects.count);
  writeFileSync(place("list"), objects.join("\0"));
  const digests = run("xargs", ["-0", "-a", place("list"), "fsverity", "digest", "--hash-alg=sha512", "--compact"]);
  expect(digests.trim().split("\n")).toEqual(objects.map((path) => path.split("/").slice(-2).join("")));
});

test("a second build gives the same bytes", () => {
  json("disk", "build", sealed, "-o", place("again.raw"), "--hostname", "tested", "--enroll-keys", place("keys"));
  expect(run("cmp", [place("os.raw"), place("again.raw")])).toBe("");
  rmSync(place("again.raw"));
}, 60_000);

const OVMF = "/usr/share/OVMF";

/** Boots the disk as it is until the console says `until`; the disk stays as it is. */
async function boot(variables: string, until: RegExp, timeoutMs: number): Promise<string> {
  const log = place(`${variables}.log`);
  const args = `-machine q35,smm=on -accel tcg,thread=multi,tb-size=512 -cpu qemu64 -smp 2 -m 1024
    -global driver=cfi.pflash01,property=secure,value=on -global ICH9-LPC.disable_s3=1
    -drive if=pflash,unit=0,format=raw,readonly=on,file=${OVMF}/OVMF_CODE_4M.secboot.fd
    -drive if=pflash,unit=1,format=raw,file=${place(variables)}
    -nographic -nodefaults -no-reboot -serial file:${log} -device virtio-rng-pci
    -drive if=none,id=d0,file=${place("os.raw")},format=raw,cache=unsafe -device virtio-blk-pci,drive=d0,bootindex=0
    -snapshot`;
  const qemu: ChildProcess = spawn("qemu-system-x86_64", args.split(/\s+/), { stdio: "ignore" });
  const read = (): string => stripVTControlCharacters(readFileSync(log, "latin1"));
  try {
    const end = Date.now() + timeoutMs;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const said = qemu.exitCode === null && Date.now() < end ? read() : undefined;
      if (said === undefined) throw new Error(`the console never said ${until}:\n${read().slice(-3000)}`);
      if (until.test(said)) return said;
    }
  } finally {
    qemu.kill("SIGKILL");
  }
}

test("firmware with our keys boots it under Secure Boot, from objects that fs-verity guards, to the login prompt", async () => {
  copyFileSync(`${OVMF}/OVMF_VARS_4M.fd`, place("vars.fd"));
  json("keys", "enroll", "--ovmf-vars", place("vars.fd"), "--keys", place("keys"));
  const said = await boot("vars.fd", /login:|Login Prompts/, 240_000);
  expect(said).toContain("Secure boot enabled");
  expect(said).toContain(`composefs=${report.deployment.id}`);
  expect(said).toMatch(/fs-verity: sha512 using implementation/);
  expect(said).toMatch(/Hostname set to <tested>/);
}, 300_000);
