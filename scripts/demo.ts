/**
 * npm run demo: from nothing to a sealed operating system that runs, with the commands a user would type.
 *
 *     npm run demo [-- --no-boot] [--refresh]
 *
 * Builds a real Debian image, makes Secure Boot keys, seals the image, verifies it, and shows that neither another
 * key nor a changed byte is accepted. Then it makes a disk, boots that under Secure Boot in QEMU, has the running system
 * prove its seal, and changes the disk, which is noticed. All of it stays in `demo/`; a second run keeps the keys and
 * the Debian image.
 */
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { IMAGE_TOOLS, requireDebianImage } from "./debian-image.ts";
import { requireDebianPackages } from "./debian-packages.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SEALED = "oci:demo/sealed:trixie";
const TAMPERED = "oci:demo/tampered:trixie";
const CERT = "demo/keys/db.crt";
const DISK = "demo/os.raw";
/** One change that lets the system boot, and one that does not. */
const CHANGES = "object,uki-stranger";

/** A virtual machine, its firmware, its TPM; qemu-img copies the disk that is changed. */
const BOOT_TOOLS: readonly string[] = [
  ...(process.arch === "arm64" ? ["qemu-system-arm", "qemu-efi-aarch64"] : ["qemu-system-x86", "ovmf"]),
  "qemu-utils",
  "swtpm",
  "swtpm-tools",
];

async function main(): Promise<void> {
  process.chdir(ROOT);
  mkdirSync("demo", { recursive: true });
  const boots = !process.argv.includes("--no-boot");
  requireDebianPackages([...IMAGE_TOOLS, ...(boots ? BOOT_TOOLS : [])]);

  title("1. A Debian operating system as a container image");
  const image = (await requireDebianImage({ refresh: process.argv.includes("--refresh") })).replace(ROOT, "");
  console.log(`${image} is there: three layers, a kernel and an initial RAM file system, nothing signed.`);

  title("2. Secure Boot keys of your own");
  if (existsSync(CERT)) console.log("demo/keys is kept from an earlier run.");
  else sealwright("keys", "generate", "demo/keys");
  if (!existsSync("demo/stranger")) sealwright("keys", "generate", "demo/stranger");

  title("3. Seal the image");
  rmSync("demo/sealed", { recursive: true, force: true });
  sealwright("seal", image, "--to", SEALED, "--key", "demo/keys/db.key", "--cert", CERT);

  title("4. Verify it, as anybody can who has the certificate");
  sealwright("verify", SEALED, "--cert", CERT);
  const digest = /[0-9a-f]{128}/.exec(sealwright("digest", SEALED))?.[0] ?? "";
  sealwright("inspect", SEALED);

  title("5. What is not accepted");
  console.log("Another key, made the same way:");
  refused("verify", SEALED, "--cert", "demo/stranger/db.crt");
  console.log("One changed byte in a layer:");
  tamper();
  refused("verify", TAMPERED, "--cert", CERT);
  rmSync("demo/tampered", { recursive: true });

  if (boots) boot();

  title("The chain of trust");
  showChain(digest, boots);
}

function boot(): void {
  title("6. A disk, booted under Secure Boot: the running system proves its seal");
  rmSync(DISK, { force: true });
  sealwright("disk", "build", SEALED, "-o", DISK);
  console.log(`With your keys alone in the firmware; then copies of the disk with one change each (${CHANGES}).`);
  sealwright("vm", "test", DISK, "--keys", "demo/keys", "--only", CHANGES);
}

function title(text: string): void {
  console.log(`\n== ${text}\n`);
}

/** Runs the command as a user would and shows both it and what it says. */
function sealwright(...args: readonly string[]): string {
  const { status, output } = call(args);
  if (status === 0) return output;
  console.error(`exit status ${status}`);
  return process.exit(status);
}

function refused(...args: readonly string[]): void {
  const { status } = call(args);
  if (status === 0) {
    console.error("this had to be refused and was not");
    process.exit(1);
  }
  console.log(`(exit status ${status})\n`);
}

function call(args: readonly string[]): { status: number; output: string } {
  console.log(`$ sealwright ${args.join(" ")}`);
  const result = spawnSync(process.execPath, ["bin/sealwright.cjs", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  process.stdout.write(`${result.stdout}\n`);
  return { status: result.status ?? 1, output: result.stdout };
}

/** Flips one bit in the middle of the largest blob of a copy. */
function tamper(): void {
  rmSync("demo/tampered", { recursive: true, force: true });
  cpSync("demo/sealed", "demo/tampered", { recursive: true });
  const blobs = globSync("demo/tampered/blobs/sha256/*");
  const largest = blobs.reduce((a, b) => (statSync(a).size >= statSync(b).size ? a : b));
  const middle = Math.floor(statSync(largest).size / 2);
  const file = openSync(largest, "r+");
  const byte = new Uint8Array(1);
  readSync(file, byte, 0, 1, middle);
  byte[0] = (byte[0] ?? 0) ^ 1;
  writeSync(file, byte, 0, 1, middle);
  console.log(`$ # flip a bit at byte ${middle} of ${relative("demo/tampered", largest)}`);
}

function showChain(digest: string, booted: boolean): void {
  const certificate = new X509Certificate(readFileSync(CERT));
  const fingerprint = certificate.fingerprint256.replaceAll(":", "").toLowerCase();
  console.log(`  your db certificate     sha256 ${fingerprint.slice(0, 32)}...
    signs
  systemd-boot            usr/lib/systemd/boot/efi/systemd-bootx64.efi
  unified kernel image    boot/EFI/Linux/: kernel, initial RAM file system, command line
    whose signed command line says
  composefs=              ${digest.slice(0, 32)}...
    which is the fs-verity digest of
  the EROFS image         every name, mode, owner, link and attribute of the system
    which holds the fs-verity digest of
  every file              checked by the kernel at every read

What to do next:
  enrol the keys          demo/keys holds PK, KEK and db as .auth files, which systemd-boot enrols in setup mode
${
  booted
    ? `  tamper with it          sealwright vm test ${DISK} --keys demo/keys --tamper (every way known, a minute each)`
    : `  boot it, and prove it   sealwright vm test ${SEALED} --keys demo/keys (QEMU, OVMF, swtpm; two minutes without KVM)`
}
  a disk that enrols keys sealwright disk build ${SEALED} -o os.raw --enroll-keys demo/keys
  publish the image       sealwright copy ${SEALED} docker://registry.example/os:1
  install it              bootc install to-disk --composefs-backend on a machine with Secure Boot
  change it               add layers to the Debian image and seal again: another tree, another digest
`);
}

await main();
