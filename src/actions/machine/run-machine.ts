import { InputOutputError } from "../../lib/errors.ts";
import { runCommand } from "../../model/host-io/command.ts";
import type { AcceleratorChoice } from "../../model/machine/accelerator.ts";
import { tailOf } from "../../model/machine/diagnose.ts";
import { sshArguments } from "../../model/machine/ssh-key.ts";
import { toError } from "./explain-end.ts";
import { type Machine, type StartOptions, startMachine } from "./start.ts";
import { follow, loadSerial, type Outcome, watchMachine } from "./watch.ts";

export interface RunOptions extends StartOptions {
  /** Wait until the guest lets us in, and fail when it does not. */
  readonly sshWait?: boolean;
  /**
   * Longest time until the guest lets us in, by default 5 minutes; and, of a machine that nobody sits at, until it ends,
   * by default for ever.
   */
  readonly timeoutMs?: number | undefined;
  /** Gets the serial console as it is written, unless `detach` or `console`. */
  readonly onSerial?: (chunk: Uint8Array) => void;
}

export interface RunReport {
  readonly name: string;
  readonly accelerator: AcceleratorChoice;
  readonly sshPort: number | undefined;
  /** Whether the machine is still there. */
  readonly running: boolean;
}

/** Under emulation on a busy host a boot takes minutes. */
export const BOOT_TIMEOUT_MS = 5 * 60_000;

/**
 * Runs a machine from a disk: until its guest switches itself off, or, detached, until it is up.
 *
 * @throws {VerificationError} `machine.…` when the boot is refused
 * @throws {InputOutputError} `machine.ssh.timeout`, `machine.timeout` with the end of the console
 * @throws what `startMachine` throws
 */
export async function runMachine(disk: string, options: RunOptions): Promise<RunReport> {
  const { detach = false, sshWait = false, signal, timeoutMs = BOOT_TIMEOUT_MS } = options;
  await using cleanup = new AsyncDisposableStack();
  const machine = cleanup.use(await startMachine(disk, options));
  if (sshWait) await waitForSsh(machine, timeoutMs, signal);
  if (detach) {
    await machine.detach();
    cleanup.move();
  } else {
    await untilItEnds(machine, options);
  }
  const { accelerator, record } = machine;
  return { name: record.name, accelerator, sshPort: record.sshPort, running: detach };
}

/** @throws as `requireReached` */
export async function waitForSsh(machine: Machine, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
  const { directory, record } = machine;
  const isIn = async (): Promise<boolean> => {
    try {
      await runCommand(sshArguments(directory, record.sshPort ?? 0, ["true"]), signal === undefined ? {} : { signal });
      return true;
    } catch {
      return false;
    }
  };
  const outcome = await watchMachine(machine, { until: isIn, timeoutMs, signal });
  await requireReached(outcome, machine, "machine.ssh.timeout", "the guest does not let us in by SSH");
}

/** @throws {VerificationError} the diagnosis of a boot that did not get there, or else {InputOutputError} `code` */
export async function requireReached(outcome: Outcome, machine: Machine, code: string, what: string): Promise<void> {
  if (outcome.kind === "reached") return;
  if (outcome.diagnosis !== undefined) throw toError(outcome.diagnosis);
  const tail = tailOf(await loadSerial(machine.serialLog));
  const when = outcome.kind === "ended" ? "it ended before" : "time is over";
  throw new InputOutputError(code, `${what} (${when}); its console ends with:\n${tail}`, { data: { tail } });
}

async function untilItEnds(machine: Machine, options: RunOptions): Promise<void> {
  if (options.console === true) return await machine.ended;
  const { onSerial, signal, timeoutMs = Number.POSITIVE_INFINITY } = options;
  let over = false;
  void machine.ended.then(() => (over = true));
  const shown = (async () => {
    for await (const chunk of follow(machine.serialLog, () => over, signal)) onSerial?.(chunk);
  })();
  const outcome = await watchMachine(machine, { until: () => false, timeoutMs, signal });
  over = true;
  await shown;
  // A guest that panics restarts, which ends the machine as well as a shutdown does.
  if (outcome.kind === "ended" && outcome.diagnosis?.final !== true) return;
  await requireReached(outcome, machine, "machine.timeout", "the guest still runs");
}
