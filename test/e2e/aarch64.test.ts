/**
 * An aarch64 machine under emulation, up to the firmware's verdict: our store editor and our signatures, judged by
 * AAVMF and systemd-boot. The kernel is a dummy, so that nothing runs behind them.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSmallOs } from "../small-os.ts";
import { stubPath } from "../tools/ukify.ts";

const program = fileURLToPath(new URL("../../bin/sealwright.cjs", import.meta.url));
const TIMEOUT_MS = 600_000;

let directory: string;
const path = (name: string): string => join(directory, name);

function sealwright(...args: string[]) {
  const env = { ...process.env, XDG_CACHE_HOME: path("cache"), XDG_STATE_HOME: path("state") };
  return spawnSync(process.execPath, [program, ...args], { encoding: "utf8", env, maxBuffer: 1 << 28 });
}

function required(...args: string[]): void {
  const { status, stderr } = sealwright(...args);
  if (status !== 0) throw new Error(`sealwright ${args.join(" ")}: ${status}\n${stderr}`);
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-arm-"));
  const stub = await stubPath("262-aa64", "linux");
  const efi = "usr/lib/systemd/boot/efi";
  const loader = join(dirname(stub), "systemd-bootaa64.efi");
  const files = {
    [`${efi}/linuxx64.efi.stub`]: null,
    [`${efi}/systemd-bootx64.efi`]: null,
    [`${efi}/linuxaa64.efi.stub`]: readFileSync(stub),
    [`${efi}/systemd-bootaa64.efi`]: readFileSync(loader),
  };
  const image = `oci:${path("image")}`;
  const sealed = `oci:${path("sealed")}`;
  await writeSmallOs(image, { architecture: "arm64", files });
  for (const keys of ["keys", "stranger"]) required("keys", "generate", path(keys));
  const signed = ["--key", path("keys/db.key"), "--cert", path("keys/db.crt"), "--platform", "linux/arm64"];
  required("seal", image, "--to", sealed, ...signed);
  required("disk", "build", sealed, "-o", path("os.raw"), "--platform", "linux/arm64");
}, TIMEOUT_MS);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test(
  "AAVMF with our keys starts systemd-boot, and systemd-boot the UKI",
  () => {
    const run = sealwright("vm", "run", path("os.raw"), "--keys", path("keys"), "--timeout", "240");
    // What ends it is the kernel, which is none; until there everything had to be signed.
    expect(run.stdout).toMatch(/BdsDxe: starting Boot/);
    expect(run.stdout).not.toMatch(/Access Denied/i);
    expect(run.stderr).toMatch(/cause: machine\.no-boot-(?:entry|loader)/);
  },
  TIMEOUT_MS,
);

test(
  "AAVMF with a stranger's keys does not start systemd-boot",
  () => {
    const run = sealwright("vm", "run", path("os.raw"), "--keys", path("stranger"), "--timeout", "240");
    expect(run.stderr).toContain("cause: machine.refused.boot-loader");
  },
  TIMEOUT_MS,
);
