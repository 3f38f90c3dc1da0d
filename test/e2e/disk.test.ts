/**
 * A disk of a real Debian: built through the command line, updated to the next release, and booted by firmware that knows
 * no key but ours. The next release reports what it finds, writes, lets the file system grow and goes off.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireDebianImage } from "../../scripts/debian-image.ts";
import { run } from "../tools/disk.ts";
import { writeNextRelease } from "../tools/next-release.ts";

const program = fileURLToPath(new URL("../../bin/sealwright.cjs", import.meta.url));
const MIB = 1 << 20;

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlaceholderPlaceholderPlaceholderPlaceh admin@example\n";

let directory: string;
let base: string;
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
  base = await requireDebianImage();
  directory = mkdtempSync(join(tmpdir(), "sealwright-e2e-disk-"));
  sealed = `oci:${place("sealed")}:trixie`;
  json("keys", "generate", place("keys"));
  writeFileSync(place("key.pub"), KEY);
  seal(base, sealed);
  report = build(place("os.raw"));
}, 600_000);

const seal = (from: string, to: string): void =>
  json("seal", from, "--to", to, "--key", place("keys/db.key"), "--cert", place("keys/db.crt"));

function build(output: string): typeof report {
  const host = ["--hostname", "tested", "--user", `admin:${place("key.pub")}`];
  const keys = ["--root-ssh-authorized-keys", place("key.pub"), "--enroll-keys", place("keys")];
  return json("disk", "build", sealed, "-o", output, ...host, ...keys);
}

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Writes the two file systems of a disk to files of their own, and has them and the table judged. */
function requireSound(disk: string): void {
  expect(run("sgdisk", ["-v", disk])).toContain("No problems found");
  const { partitiontable } = JSON.parse(run("sfdisk", ["--json", disk])) as {
    partitiontable: { partitions: { name: string; start: number; size: number }[] };
  };
  for (const { name, size, start } of partitiontable.partitions) {
    const args = [`if=${disk}`, `of=${place(name)}`, "bs=1M", "conv=sparse", "iflag=skip_bytes,count_bytes"];
    run("dd", [...args, `skip=${start * 512}`, `count=${size * 512}`]);
  }
  run("fsck.fat", ["-n", place("EFI-SYSTEM")]);
  run("e2fsck", ["-fn", place("root")]);
  expect(json("verify", disk, "--cert", place("keys/db.crt"))).toMatchObject({ holds: true });
}

test("the disk of a Debian is sound to gdisk, fsck.fat and e2fsck, and verifies", () => requireSound(place("os.raw")));

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
  build(place("again.raw"));
  expect(run("cmp", [place("os.raw"), place("again.raw")])).toBe("");
  rmSync(place("again.raw"));
}, 60_000);

const OVMF = "/usr/share/OVMF";

/** Starts a disk, and waits until the machine has gone off. @returns what its two serial lines said */
async function boot(
  disk: string,
  variables: string,
  timeoutMs: number,
): Promise<{ readonly console: string; readonly report: string }> {
  const [log, second] = [place(`${variables}.log`), place(`${variables}.report`)];
  const args = `-machine q35,smm=on -accel tcg,thread=multi,tb-size=512 -cpu qemu64 -smp 2 -m 1024
    -global driver=cfi.pflash01,property=secure,value=on -global ICH9-LPC.disable_s3=1
    -drive if=pflash,unit=0,format=raw,readonly=on,file=${OVMF}/OVMF_CODE_4M.secboot.fd
    -drive if=pflash,unit=1,format=raw,file=${place(variables)}
    -nographic -nodefaults -no-reboot -serial file:${log} -serial file:${second} -device virtio-rng-pci
    -drive if=none,id=d0,file=${disk},format=raw,cache=unsafe -device virtio-blk-pci,drive=d0,bootindex=0`;
  const qemu: ChildProcess = spawn("qemu-system-x86_64", args.split(/\s+/), { stdio: "ignore" });
  const exited = new Promise<number | null>((resolve) => qemu.once("exit", resolve));
  const timer = setTimeout(() => qemu.kill("SIGKILL"), timeoutMs);
  const status = await exited;
  clearTimeout(timer);
  const [said, reported] = [log, second].map((file) =>
    stripVTControlCharacters(readFileSync(file, "latin1")).replaceAll("\r", ""),
  ) as [string, string];
  if (status !== 0) throw new Error(`the machine did not go off by itself:\n${said.slice(-3000)}\n${reported}`);
  return { console: said, report: reported };
}

/** What the next release does once it is up, and tells on its second serial line: a login takes the first. */
const SCRIPT = `#!/bin/sh
exec >/dev/ttyS1 2>&1
echo "report: host $(hostname)"
echo "report: user $(getent passwd admin | cut -d: -f1,6,7)"
for file in /var/home/admin/.ssh/authorized_keys /var/roothome/.ssh/authorized_keys; do
  echo "report: $(stat -c '%a %U %G' $file) $file $(cat $file)"
done
echo "report: measured $(find /sysroot/composefs/objects -type f | sort | xargs fsverity measure |
  sed -E 's|^sha512:(..)([0-9a-f]+) .*/objects/\\1/\\2$|same|' | sort | uniq -c)"
/usr/lib/systemd/systemd-growfs /var >/dev/null && echo "report: grown"
dd if=/dev/urandom of=/var/lib/written bs=1M count=24 status=none
mkdir /var/lib/many
for number in 1 2 3 4 5 6 7 8 9; do mkdir /var/lib/many/$number; echo $number >/var/lib/many/$number/file; done
echo changed >/etc/changed-by-host
sync
echo "report: end"
systemctl poweroff
`;

const UNIT = `[Unit]
Description=Report
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/lib/report
`;

test("an updated disk boots the next release under Secure Boot, and what it leaves is sound and can be updated again", async () => {
  const [disk, second] = [place("updated.raw"), `oci:${place("sealed-2")}:trixie`];
  await writeNextRelease(base, `oci:${place("base-2")}:trixie`, [
    { path: "usr/lib/report", kind: "file", mode: 0o755, content: SCRIPT },
    { path: "usr/lib/systemd/system/report.service", kind: "file", content: UNIT },
    {
      path: "usr/lib/systemd/system/multi-user.target.wants/report.service",
      kind: "symlink",
      target: "../report.service",
    },
  ]);
  seal(`oci:${place("base-2")}:trixie`, second);
  const { id, update } = json("disk", "update", place("os.raw"), second, "-o", disk);
  expect(update).toMatchObject({ kept: { id: report.deployment.id }, dropped: [], warnings: [] });
  requireSound(disk);

  // The partition grows now, the file system in the guest.
  run("truncate", ["-s", "+300M", disk]);
  run("sgdisk", ["-e", disk]);
  run("sfdisk", ["--no-reread", "-N", "3", disk], ", +\n");
  copyFileSync(`${OVMF}/OVMF_VARS_4M.fd`, place("vars.fd"));
  json("keys", "enroll", "--ovmf-vars", place("vars.fd"), "--keys", place("keys"));
  const { console: said, report: reported } = await boot(disk, "vars.fd", 600_000);
  expect(said).toContain("Secure boot enabled");
  expect(said).toContain(`composefs=${id}`);
  expect(said).toMatch(/fs-verity: sha512 using implementation/);
  expect(said).toMatch(/Hostname set to <tested>/);
  // Firmware and boot loader talk on both lines.
  expect([...reported.matchAll(/^report: (.*)$/gm)].map(([, line]) => line)).toEqual([
    "host tested",
    "user admin:/var/home/admin:/bin/bash",
    `600 admin admin /var/home/admin/.ssh/authorized_keys ${KEY.trim()}`,
    `600 root root /var/roothome/.ssh/authorized_keys ${KEY.trim()}`,
    expect.stringMatching(new RegExp(`^measured +${report.objects.count + update.objects.added.count} same$`)),
    "grown",
    "end",
  ]);

  requireSound(disk);
  const blocks = Number(/Block count: +(\d+)/.exec(run("dumpe2fs", ["-h", place("root")]))?.[1]);
  expect(blocks * 4096).toBeGreaterThan(statSync(place("root")).size - 200 * MIB);
  expect(run("debugfs", ["-R", "stat /state/os/default/var/lib/written", place("root")])).toContain(
    `Size: ${24 * MIB}\n`,
  );

  const back = json("disk", "update", disk, sealed);
  expect(back.update).toMatchObject({ deployment: { id: report.deployment.id }, kept: { id } });
  expect(back.update.etc.carried).toContain("changed-by-host");
  requireSound(disk);
}, 1_200_000);
