import { rm } from "node:fs/promises";
import { join } from "node:path";
import { InputOutputError, NotFoundError, quote } from "../../lib/errors.ts";
import { throwIfInterrupted } from "../../model/host-io/interrupt.ts";
import { endProcess, isAlive, pause, runOnTerminal } from "../../model/host-io/process.ts";
import {
  listMachines,
  type MachineEntry,
  type MachineRecord,
  releaseMachine,
  requireMachine,
} from "../../model/machine/machine-store.ts";
import { openMonitor } from "../../model/machine/monitor.ts";
import { sshArguments } from "../../model/machine/ssh-key.ts";
import { loadSerial } from "./watch.ts";

const machinesOf = (state: string): string => join(state, "machines");

export async function listAll(state: string): Promise<readonly MachineEntry[]> {
  return await listMachines(machinesOf(state));
}

/** A guest that answers its power button is off well before. */
const POWERDOWN_MS = 90_000;

export interface StopOptions {
  /** Pulls the plug instead of pressing the power button. */
  readonly force?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stops a machine. The plug is pulled when its guest does not answer the power button within 90 seconds.
 *
 * @throws {NotFoundError} `machine.not-found`
 * @throws {InputOutputError} `machine.not-running`
 */
export async function stopMachine(
  state: string,
  name: string,
  options: StopOptions = {},
): Promise<"off" | "unplugged"> {
  const entry = await requireMachine(machinesOf(state), name);
  const record = requireRunning(entry);
  const isOff = options.force !== true && (await pressPowerButton(record, options.signal));
  if (!isOff) await unplug(record);
  await rm(record.sockets, { recursive: true, force: true });
  await releaseMachine(entry.directory);
  return isOff ? "off" : "unplugged";
}

async function pressPowerButton(record: MachineRecord, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    using monitor = await openMonitor(join(record.sockets, "monitor"));
    await monitor.execute("system_powerdown");
  } catch (error) {
    if (!(error instanceof InputOutputError)) throw error;
  }
  for (let waited = 0; waited < POWERDOWN_MS; waited += 100) {
    throwIfInterrupted(signal);
    if (!(await isAlive(record.qemu))) return true;
    await pause(100, signal);
  }
  return false;
}

/** QEMU writes back what it holds when it is asked to end; the guest does not. */
const unplug = (record: MachineRecord): Promise<void> => endProcess(record.qemu);

/**
 * Removes a machine: its variable store, its TPM and its logs. The disk stays.
 *
 * @throws {InputOutputError} `machine.running` without `force`
 */
export async function removeMachine(state: string, name: string, force: boolean): Promise<void> {
  const entry = await requireMachine(machinesOf(state), name);
  if (entry.running) {
    if (!force) {
      throw new InputOutputError("machine.running", `machine ${quote(name)} runs`, {
        hint: `sealwright vm stop ${name}, or add --force`,
      });
    }
    await stopMachine(state, name, { force: true });
  }
  if (entry.record !== undefined) await rm(entry.record.sockets, { recursive: true, force: true });
  await rm(entry.directory, { recursive: true });
}

/** @returns the end of a machine's serial console, with its terminal escapes */
export async function machineLog(state: string, name: string): Promise<string> {
  const { directory } = await requireMachine(machinesOf(state), name);
  return await loadSerial(join(directory, "serial.log"));
}

/**
 * Opens a shell in a machine, or runs a command there, on this terminal.
 *
 * @returns the exit status of ssh
 */
export async function sshInto(state: string, name: string, command: readonly string[]): Promise<number> {
  const entry = await requireMachine(machinesOf(state), name);
  const { sshPort } = requireRunning(entry);
  if (sshPort === undefined) {
    throw new NotFoundError("machine.no-network", `machine ${quote(name)} has no network`);
  }
  return await runOnTerminal(sshArguments(entry.directory, sshPort, command));
}

function requireRunning({ name, record, running }: MachineEntry): MachineRecord {
  if (!running || record === undefined) {
    throw new InputOutputError("machine.not-running", `machine ${quote(name)} does not run`);
  }
  return record;
}
