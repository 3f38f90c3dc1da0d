import { NotFoundError } from "../../lib/errors.ts";
import { runOnTerminal } from "../../model/host-io/process.ts";
import { sshArguments } from "../../model/machine/ssh-key.ts";
import { BOOT_TIMEOUT_MS, waitForSsh } from "./run-machine.ts";
import { type StartOptions, startMachine } from "./start.ts";

export interface EphemeralOptions extends Omit<StartOptions, "name" | "snapshot" | "detach" | "console" | "network"> {
  /** Run instead of a shell. */
  readonly command: readonly string[];
  /** Longest time until the guest lets us in. Default 5 minutes. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Runs a machine for one shell or one command in it. Nothing of it stays, and its disk is left alone.
 *
 * @returns the exit status of ssh, which is that of the command
 * @throws {NotFoundError} `machine.ssh.not-installed`
 * @throws what `startMachine` and `waitForSsh` throw
 */
export async function runEphemeral(disk: string, options: EphemeralOptions): Promise<number> {
  const { command, signal, timeoutMs = BOOT_TIMEOUT_MS, ...rest } = options;
  await using machine = await startMachine(disk, { ...rest, signal, snapshot: true });
  const { sshPort } = machine.record;
  if (sshPort === undefined) {
    throw new NotFoundError("machine.ssh.not-installed", "the guest cannot be reached without a network and a key");
  }
  await waitForSsh(machine, timeoutMs, signal);
  return await runOnTerminal(sshArguments(machine.directory, sshPort, command));
}
