import { chmod, mkdtemp, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { NotFoundError, quote, UsageError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { exists } from "../../model/host-io/files.ts";
import { throwIfInterrupted } from "../../model/host-io/interrupt.ts";
import {
  endProcess,
  findProgram,
  pause,
  type RunningProcess,
  selfIdentity,
  startProcess,
} from "../../model/host-io/process.ts";
import { type AcceleratorChoice, chooseAccelerator } from "../../model/machine/accelerator.ts";
import {
  type MachineConfig,
  type PublishedPort,
  qemuArguments,
  type ReadOnlyDisk,
} from "../../model/machine/arguments.ts";
import { loadBootKeys } from "../../model/machine/boot-keys.ts";
import { loadDiskKind } from "../../model/machine/disk-kind.ts";
import { enrolIntoStore } from "../../model/machine/enrolled-store.ts";
import { descriptorDirectories, type Firmware, findFirmware } from "../../model/machine/firmware.ts";
import {
  changeOwner,
  claimFreshMachine,
  claimMachine,
  type MachineRecord,
  releaseMachine,
  storeRecord,
  sweepSockets,
} from "../../model/machine/machine-store.ts";
import { forwardedPort, openMonitor } from "../../model/machine/monitor.ts";
import { requireSshKey } from "../../model/machine/ssh-key.ts";
import { loadStoreFile, storeStoreFile } from "../../model/machine/store-file.ts";
import { startTpm } from "../../model/machine/tpm.ts";
import { explainEnd } from "./explain-end.ts";

/** Where things are on this machine; the doors read them from the environment. */
export interface MachinePlaces {
  /** State of ours: `$XDG_STATE_HOME/sealwright`. */
  readonly state: string;
  /** `$XDG_CONFIG_HOME`, where a user's firmware descriptors are. */
  readonly config: string;
  /** For sockets, whose paths are short: `$XDG_RUNTIME_DIR` or the place for temporary files. */
  readonly runtime: string;
}

export interface StartOptions {
  readonly places: MachinePlaces;
  /** A machine with a name keeps its variable store and its TPM when it ends. */
  readonly name?: string | undefined;
  /** Enrolled into the variable store of a machine that has none yet. Without keys Secure Boot is off. */
  readonly keys?: string | undefined;
  /** MiB. Default 1024. */
  readonly memory?: number | undefined;
  /** Default 2. */
  readonly cpus?: number | undefined;
  readonly snapshot?: boolean;
  readonly moreDisks?: readonly ReadOnlyDisk[];
  /** Default true. */
  readonly tpm?: boolean;
  /** Default true: a user-mode network, with the guest's SSH on a free port of the loopback address. */
  readonly network?: boolean;
  /** More TCP ports that lead into the guest. */
  readonly publish?: readonly PublishedPort[] | undefined;
  /** The machine lives on when we end. */
  readonly detach?: boolean;
  /** The serial console is our terminal. */
  readonly console?: boolean;
  readonly credentials?: ReadonlyMap<string, Uint8Array>;
  /** A second serial port that writes to `report` in the machine's directory. */
  readonly report?: boolean;
  /** Chosen by a probe when absent. */
  readonly accelerator?: AcceleratorChoice | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** A machine that runs. Disposing ends it and its TPM, and removes what it leaves unless it has a name. */
export interface Machine extends AsyncDisposable {
  readonly record: MachineRecord;
  readonly directory: string;
  readonly accelerator: AcceleratorChoice;
  readonly serialLog: string;
  readonly report: string;
  /** Fulfilled when QEMU has ended. */
  readonly ended: Promise<void>;
  /** Leaves the machine to itself. */
  detach(): Promise<void>;
}

/**
 * Starts a virtual machine from a disk, with a variable store, a TPM and sockets of its own.
 *
 * Two machines share nothing but a disk, which QEMU locks: the second one is refused unless both take a snapshot.
 *
 * @throws {CommandError} `machine.qemu-ended` with QEMU's own words
 * @throws {InputOutputError} `machine.running`
 * @throws {NotFoundError} `machine.firmware.not-found`, `machine.tpm.not-installed`, `input.not-found`
 */
export async function startMachine(disk: string, options: StartOptions): Promise<Machine> {
  const { places, signal, progress = silent } = options;
  requireNumbers(options);
  const { architecture, format } = await loadDiskKind(disk);
  const firmware = await findFirmware(architecture, descriptorDirectories(places.config));
  requireQemu(architecture);
  const accelerator = options.accelerator ?? (await chooseAccelerator(architecture, firmware, places.state));
  throwIfInterrupted(signal);

  await using cleanup = new AsyncDisposableStack();
  const { name, directory, keep } = await claim(disk, options);
  cleanup.defer(() => (keep ? releaseMachine(directory) : rm(directory, { recursive: true, force: true })));
  const sockets = await mkdtemp(join(places.runtime, "sealwright-"));
  cleanup.defer(() => rm(sockets, { recursive: true, force: true }));

  const store = join(directory, "vars.fd");
  const storeFormat = await requireStore(store, firmware, options.keys);
  const key = options.network === false ? undefined : await requireSshKey(directory);
  const detached = options.detach === true;
  progress({ step: "machine.start", text: `starting ${name} (${describe(accelerator)})` });
  const tpmSocket = options.tpm === false ? undefined : join(sockets, "tpm");
  if (tpmSocket !== undefined) {
    const tpm = await startTpm({ directory, socket: tpmSocket, detached, signal });
    cleanup.defer(() => endProcess(tpm));
  }
  const serialLog = join(directory, "serial.log");
  const report = join(directory, "report");
  await Promise.all([serialLog, report, join(directory, "qemu.log")].map((path) => rm(path, { force: true })));
  const config: MachineConfig = {
    name,
    architecture,
    accelerator: accelerator.accelerator,
    memory: options.memory ?? DEFAULT_MEMORY,
    cpus: options.cpus ?? DEFAULT_CPUS,
    firmware,
    store,
    storeFormat,
    disk: resolve(disk),
    diskFormat: format,
    snapshot: options.snapshot === true,
    moreDisks: options.moreDisks,
    monitor: join(sockets, "monitor"),
    tpm: tpmSocket,
    serial: { log: serialLog, terminal: options.console === true },
    report: options.report === true ? report : undefined,
    network: options.network !== false,
    publish: options.publish,
    credentials: new Map([
      ...(options.network === false ? [] : NETWORK_CREDENTIALS),
      ...(key?.credentials ?? []),
      ...(options.credentials ?? []),
    ]),
  };
  const qemu = await startProcess(qemuArguments(config), {
    log: join(directory, "qemu.log"),
    detached,
    terminal: options.console === true,
  });
  cleanup.defer(() => endQemu(qemu));
  const sshPort = await firstContact(qemu, config, join(directory, "qemu.log"));
  const record: MachineRecord = {
    name,
    disk: config.disk,
    architecture,
    accelerator: accelerator.accelerator,
    sockets,
    qemu: { pid: qemu.pid, startTime: qemu.startTime },
    ...(sshPort === undefined ? {} : { sshPort }),
  };
  await storeRecord(directory, record);
  const owned = cleanup.move();
  return {
    record,
    directory,
    accelerator,
    serialLog,
    report,
    ended: qemu.ended,
    detach: () => changeOwner(directory, record.qemu),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** An address from QEMU, for guests with systemd-networkd that say nothing about their network cards. */
const NETWORK_CREDENTIALS = new Map([
  ["network.network.89-sealwright", Buffer.from("[Match]\nType=ether\n\n[Network]\nDHCP=yes\n")],
]);

const DEFAULT_MEMORY = 1024;
const DEFAULT_CPUS = 2;

function requireNumbers({ memory = DEFAULT_MEMORY, cpus = DEFAULT_CPUS }: StartOptions): void {
  if (!Number.isInteger(memory) || memory < 256 || memory > 1 << 20) {
    throw new UsageError("machine.memory", `memory of ${memory} MiB: expected 256 to ${1 << 20}`);
  }
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > 255) {
    throw new UsageError("machine.cpus", `${cpus} processors: expected 1 to 255`);
  }
}

export function describe({ accelerator, reason }: AcceleratorChoice): string {
  return accelerator === "kvm" ? "KVM" : `software emulation, several times slower: ${reason ?? "asked for"}`;
}

async function claim(disk: string, { places, name }: StartOptions) {
  const base = join(places.state, "machines");
  await sweepSockets(base);
  const self = await selfIdentity();
  if (name !== undefined) return { name, directory: await claimMachine(base, name, self), keep: true };
  const stem = basename(disk)
    .replace(/\..*$/, "")
    .replaceAll(/[^A-Za-z0-9_-]/g, "-")
    .replace(/^[-_]*/, "");
  return { ...(await claimFreshMachine(base, stem.slice(0, 40) || "machine", self)), keep: false };
}

/** The store of a machine is made once: firmware writes its boot entries into it. */
async function requireStore(store: string, firmware: Firmware, keys: string | undefined): Promise<"raw" | "qcow2"> {
  if (await exists(store)) return (await loadStoreFile(store)).container;
  const template = await loadStoreFile(firmware.store);
  const bytes = keys === undefined ? template.bytes : enrolIntoStore(template.bytes, await loadBootKeys(keys));
  await storeStoreFile(store, { container: template.container, bytes }, { mode: 0o600 });
  await chmod(store, 0o600);
  return template.container;
}

function requireQemu(architecture: string): void {
  const program = `qemu-system-${architecture}`;
  if (findProgram(program) === undefined) {
    throw new NotFoundError("machine.qemu.not-installed", `${quote(program)} is not installed`, {
      hint: `install the package qemu-system-${architecture === "x86_64" ? "x86" : "arm"}`,
    });
  }
}

/** Waits until QEMU answers; the port it chose for SSH comes with the answer. */
async function firstContact(
  qemu: RunningProcess,
  { monitor: path, publish = [] }: MachineConfig,
  log: string,
): Promise<number | undefined> {
  const early = qemu.ended.then(async () => {
    throw await explainEnd(log);
  });
  early.catch(() => {});
  try {
    using monitor = await Promise.race([openMonitor(path, CONTACT_MS), early]);
    return await Promise.race([
      forwardedPort(
        monitor,
        publish.map(({ host }) => host),
      ),
      early,
    ]);
  } catch (error) {
    // A QEMU that ends closes its monitor a moment before; its own words say more.
    await Promise.race([early, pause(END_MS)]);
    throw error;
  }
}

const END_MS = 2000;

/** QEMU opens its monitor at once; a busy host may need time to load it. */
const CONTACT_MS = 30_000;

async function endQemu(qemu: RunningProcess): Promise<void> {
  await endProcess(qemu);
  await qemu.ended;
}
