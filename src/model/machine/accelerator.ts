import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exists } from "../host-io/files.ts";
import { endProcess, isAlive, pause, startProcess } from "../host-io/process.ts";
import { openTempDir } from "../host-io/temp.ts";
import { hostPlatform } from "../image/host-platform.ts";
import { type Accelerator, qemuArguments } from "./arguments.ts";
import type { Architecture, Firmware } from "./firmware.ts";
import { loadStoreFile, storeStoreFile } from "./store-file.ts";

export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  /** Why it is not KVM. */
  readonly reason?: string;
}

/** Firmware is at its boot menu within 2 seconds where KVM works. */
const PROBE_MS = 15_000;

/**
 * Chooses KVM when this very firmware was seen to start under it, emulation otherwise.
 *
 * A /dev/kvm that opens proves nothing: nested virtualisation may fail at the first instruction, or only in system
 * management mode. The answer is kept in `stateDirectory` until the machine we run on is booted again.
 */
export async function chooseAccelerator(
  architecture: Architecture,
  firmware: Firmware,
  stateDirectory: string,
): Promise<AcceleratorChoice> {
  const host = hostPlatform().architecture === "arm64" ? "aarch64" : "x86_64";
  if (host !== architecture)
    return { accelerator: "tcg", reason: `this machine is ${host}, the guest ${architecture}` };
  if (!(await exists("/dev/kvm"))) return { accelerator: "tcg", reason: "this machine has no /dev/kvm" };
  const key = `${await bootId()} ${firmware.code}`;
  const cache = join(stateDirectory, "kvm.json");
  const known = await readKnown(cache, key);
  const works = known ?? (await probe(architecture, firmware));
  if (known === undefined) {
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    await writeFile(cache, JSON.stringify({ key, works }));
  }
  return works
    ? { accelerator: "kvm" }
    : { accelerator: "tcg", reason: "/dev/kvm is there, but the firmware does not start under it" };
}

const bootId = (): Promise<string> =>
  readFile("/proc/sys/kernel/random/boot_id", "latin1").then(
    (text) => text.trim(),
    () => "",
  );

async function readKnown(cache: string, key: string): Promise<boolean | undefined> {
  try {
    const known = JSON.parse(await readFile(cache, "utf8")) as { key: string; works: boolean };
    return known.key === key ? known.works : undefined;
  } catch {
    return undefined;
  }
}

/** Starts the firmware without a disk, and waits until it says that there is nothing to start. */
async function probe(architecture: Architecture, firmware: Firmware): Promise<boolean> {
  await using directory = await openTempDir("sealwright-kvm");
  const path = (name: string): string => join(directory.path, name);
  const store = await loadStoreFile(firmware.store);
  await storeStoreFile(path("vars.fd"), store);
  await writeFile(path("disk"), new Uint8Array(1 << 20));
  const argv = qemuArguments({
    name: "probe",
    architecture,
    accelerator: "kvm",
    memory: 256,
    cpus: 1,
    firmware,
    store: path("vars.fd"),
    storeFormat: store.container,
    disk: path("disk"),
    diskFormat: "raw",
    snapshot: false,
    monitor: path("qmp"),
    tpm: undefined,
    network: false,
    credentials: new Map(),
    serial: { log: path("serial.log"), terminal: false },
  });
  const qemu = await startProcess(argv, { log: path("qemu.log") }).catch(() => undefined);
  if (qemu === undefined) return false;
  try {
    for (let waited = 0; waited < PROBE_MS && (await isAlive(qemu)); waited += 100) {
      await pause(100);
      const said = await readFile(path("serial.log"), "latin1").catch(() => "");
      if (said.includes("BdsDxe:")) return true;
      const complaint = await readFile(path("qemu.log"), "latin1").catch(() => "");
      if (complaint.includes("emulation failure") || complaint.includes("KVM: entry failed")) return false;
    }
    return false;
  } finally {
    await endProcess(qemu, 500);
    await qemu.ended;
    await rm(path("disk"), { force: true });
  }
}
