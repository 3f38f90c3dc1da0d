import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CommandError, NotFoundError } from "../../lib/errors.ts";
import { runCommand } from "../host-io/command.ts";
import { exists } from "../host-io/files.ts";
import { findProgram, pause, type RunningProcess, startProcess } from "../host-io/process.ts";

export interface TpmOptions {
  /** Directory of the machine. */
  readonly directory: string;
  /** Where the control socket is made; its path has at most 107 bytes. */
  readonly socket: string;
  readonly detached: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts a TPM 2.0 for a machine, made at the machine's first start. It ends when QEMU leaves.
 *
 * @throws {NotFoundError} `machine.tpm.not-installed`
 * @throws {CommandError} `command.…`, `machine.tpm.silent`
 */
export async function startTpm({ directory, socket, detached, signal }: TpmOptions): Promise<RunningProcess> {
  const [setup, program] = [findProgram("swtpm_setup"), findProgram("swtpm")];
  if (setup === undefined || program === undefined) {
    throw new NotFoundError("machine.tpm.not-installed", "swtpm, the TPM of virtual machines, is not installed", {
      hint: "install swtpm and swtpm-tools, or add --no-tpm",
    });
  }
  const state = join(directory, "tpm");
  if (!(await exists(state))) {
    await mkdir(state, { mode: 0o700 });
    // Run by root, the tool would leave for a user who cannot enter the directory.
    const user = process.getuid?.() === 0 ? ["--runas", "root"] : [];
    await runCommand(
      [setup, "--tpm2", "--tpmstate", state, "--createek", "--pcr-banks", "sha256", "--overwrite", ...user],
      signal === undefined ? {} : { signal },
    );
  }
  const tpm = await startProcess(
    [program, "socket", "--tpm2", "--tpmstate", `dir=${state}`, "--ctrl", `type=unixio,path=${socket}`, "--terminate"],
    { log: join(directory, "swtpm.log"), detached },
  );
  for (let waited = 0; waited < 10_000; waited += 20) {
    if (await exists(socket)) return tpm;
    await pause(20);
  }
  throw new CommandError("machine.tpm.silent", "swtpm made no socket within 10 seconds");
}
