/**
 * The machines of a user, each in a directory of its own:
 *
 *     owner.json      the process whose end is the end of the machine; made exclusively, so that it is a lock
 *     machine.json    what the machine is, once it runs
 *     vars.fd         its variable store
 *     tpm/            the state of its TPM
 *     serial.log  qemu.log
 *     id_ed25519      key for its SSH, and the public key beside it
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InputOutputError, NotFoundError, quote, UsageError } from "../../lib/errors.ts";
import { errnoOf, outputError } from "../host-io/errors.ts";
import { isAlive, type RunningProcess } from "../host-io/process.ts";
import type { Accelerator } from "./arguments.ts";
import type { Architecture } from "./firmware.ts";

export type ProcessIdentity = Pick<RunningProcess, "pid" | "startTime">;

export interface MachineRecord {
  readonly name: string;
  readonly disk: string;
  readonly architecture: Architecture;
  readonly accelerator: Accelerator;
  readonly qemu: ProcessIdentity;
  /** Of the loopback address; leads to the guest's SSH. */
  readonly sshPort?: number;
  /** Directory of the sockets. */
  readonly sockets: string;
}

export interface MachineEntry {
  readonly name: string;
  readonly directory: string;
  readonly running: boolean;
  readonly record: MachineRecord | undefined;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** @throws {UsageError} `machine.name` */
export function requireName(name: string): string {
  if (!NAME.test(name)) {
    throw new UsageError("machine.name", `${quote(name)}: a name has 1 to 63 letters, digits, "-", "_" or "."`);
  }
  return name;
}

/**
 * Takes a name for a machine that is about to run; what a machine of that name left behind is kept.
 *
 * @returns its directory
 * @throws {InputOutputError} `machine.running` when it is taken
 */
export async function claimMachine(base: string, name: string, owner: ProcessIdentity): Promise<string> {
  const directory = join(base, requireName(name));
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw outputError(error, directory);
  });
  for (const attempt of [1, 2]) {
    try {
      await writeFile(join(directory, "owner.json"), JSON.stringify(owner), { flag: "wx", mode: 0o600 });
      return directory;
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw outputError(error, directory);
      if (attempt === 2 || (await isRunning(directory))) break;
      // Its owner is gone: killed, or the power failed.
      await rm(join(directory, "owner.json"), { force: true });
    }
  }
  throw new InputOutputError("machine.running", `a machine ${quote(name)} runs already`, {
    hint: `choose another --name, or sealwright vm stop ${name}`,
  });
}

/** Takes a name that nobody has: `stem`, `stem-2`, … */
export async function claimFreshMachine(
  base: string,
  stem: string,
  owner: ProcessIdentity,
): Promise<{ readonly name: string; readonly directory: string }> {
  await mkdir(base, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw outputError(error, base);
  });
  for (let count = 1; ; count++) {
    const name = count === 1 ? stem : `${stem}-${count}`;
    try {
      await mkdir(join(base, name), { mode: 0o700 });
      return { name, directory: await claimMachine(base, name, owner) };
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
    }
  }
}

/** Removes the sockets of machines that ended without being able to: killed, or with the power. */
export async function sweepSockets(base: string): Promise<void> {
  for (const { record, running } of await listMachines(base)) {
    if (!running && record !== undefined) await rm(record.sockets, { recursive: true, force: true });
  }
}

/** Hands a machine to the process that it ends with from now on. */
export async function changeOwner(directory: string, owner: ProcessIdentity): Promise<void> {
  await replaceJson(join(directory, "owner.json"), owner);
}

export async function storeRecord(directory: string, record: MachineRecord): Promise<void> {
  await replaceJson(join(directory, "machine.json"), record);
}

export async function releaseMachine(directory: string): Promise<void> {
  await rm(join(directory, "owner.json"), { force: true });
}

/** Machines by name. */
export async function listMachines(base: string): Promise<MachineEntry[]> {
  const names = (await readdir(base).catch(() => [] as string[])).filter((name) => NAME.test(name)).sort();
  return await Promise.all(names.map((name) => readEntry(base, name)));
}

/** @throws {NotFoundError} `machine.not-found` */
export async function requireMachine(base: string, name: string): Promise<MachineEntry> {
  const found = (await listMachines(base)).find((entry) => entry.name === name);
  if (found === undefined) {
    throw new NotFoundError("machine.not-found", `no machine ${quote(name)}`, { hint: "see sealwright vm list" });
  }
  return found;
}

async function readEntry(base: string, name: string): Promise<MachineEntry> {
  const directory = join(base, name);
  const record = await readJson<MachineRecord>(join(directory, "machine.json"));
  return { name, directory, running: await isRunning(directory), record };
}

async function isRunning(directory: string): Promise<boolean> {
  const owner = await readJson<ProcessIdentity>(join(directory, "owner.json"));
  return owner !== undefined && (await isAlive(owner));
}

async function replaceJson(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** Our own files; one that is torn counts as absent. */
async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as T;
  } catch {
    return undefined;
  }
}
