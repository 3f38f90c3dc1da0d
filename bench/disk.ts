/**
 * Building a disk from an image, against tar, `mke2fs -d`, mtools and sfdisk doing the same without fs-verity, without
 * a repository and without checking anything; and against copying the result.
 *
 *     npx -c 'node bench/disk.ts oci:DIR[:TAG]'
 *
 * Run as root, since tar then keeps owners. The page cache is warm for both.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openImage } from "../src/model/image/open-image.ts";

const [reference] = process.argv.slice(2);
if (reference === undefined) throw new Error("usage: node bench/disk.ts oci:DIR[:TAG]");
const directory = mkdtempSync(join(tmpdir(), "bench-disk-"));
const place = (name: string): string => join(directory, name);
const program = fileURLToPath(new URL("../bin/sealwright.cjs", import.meta.url));
const MIB = 1 << 20;
const sh = (script: string): void => {
  const PATH = `${process.env["PATH"]}:/usr/sbin:/sbin`;
  execFileSync("sh", ["-ec", script], {
    stdio: ["ignore", "ignore", "inherit"],
    cwd: directory,
    env: { ...process.env, PATH },
  });
};

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** Runs ours and watches the most memory that it ever had (VmHWM). */
async function ours(...options: readonly string[]): Promise<{ readonly ms: number; readonly mib: number }> {
  const start = performance.now();
  const args = [program, "disk", "build", reference as string, "-o", place("ours.raw"), "--overwrite", ...options];
  const child = spawn(process.execPath, args, { stdio: "ignore" });
  let peak = 0;
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, "latin1");
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // It has just ended.
    }
  }, 20);
  const status = await new Promise<number | null>((resolve) => child.on("exit", resolve));
  clearInterval(watch);
  if (status !== 0) throw new Error(`sealwright: status ${status}`);
  return { ms: performance.now() - start, mib: peak / 1024 };
}

async function theirs(): Promise<number> {
  await using image = await openImage(reference as string);
  mkdirSync(place("tree"));
  const layers = image.layers.map(({ file }) => file?.path ?? "");
  return timed(() => {
    for (const layer of layers) sh(`tar -xf ${layer} -C tree`);
    sh(`
      mke2fs -q -t ext4 -b 4096 -O verity -d tree root.img 1500M
      truncate -s 1024M esp.img; mformat -i esp.img -F ::; mmd -i esp.img ::EFI ::EFI/Linux ::EFI/BOOT
      mcopy -i esp.img tree/boot/EFI/Linux/*.efi ::EFI/Linux/
      mcopy -i esp.img tree/usr/lib/systemd/boot/efi/systemd-boot*64.efi ::EFI/BOOT/BOOTX64.EFI
      truncate -s 2600M theirs.raw
      printf 'label: gpt\\nstart=2048,size=1024M,type=U\\ntype=L\\n' | sfdisk -q theirs.raw
      dd if=esp.img of=theirs.raw bs=1M seek=1 conv=notrunc,sparse status=none
      dd if=root.img of=theirs.raw bs=1M seek=1025 conv=notrunc,sparse status=none
      sync theirs.raw`);
  });
}

const stored = (path: string): string => `${Math.round((statSync(path).blocks * 512) / MIB)} MiB stored`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

try {
  await ours();
  const runs = [await ours(), await ours(), await ours()].sort((a, b) => a.ms - b.ms);
  const { ms, mib } = runs[1] as { ms: number; mib: number };
  console.log(
    `ours                     ${seconds(ms)}, at most ${Math.round(mib)} MiB of memory, ${stored(place("ours.raw"))}`,
  );
  const copying = timed(() => sh("cp --sparse=always ours.raw copy.raw; sync copy.raw"));
  const hashing = timed(() => sh("sha512sum copy.raw"));
  console.log(`cp --sparse=always       ${seconds(copying)}, and sha512sum of it ${seconds(hashing)}`);
  const peer = await theirs();
  console.log(
    `tar, mke2fs -d, sfdisk   ${seconds(peer)}, ${stored(place("theirs.raw"))}; ratio ${(ms / peer).toFixed(2)}`,
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
