import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../host-io/command.ts";
import { exists } from "../host-io/files.ts";
import { findProgram } from "../host-io/process.ts";

export interface SshKey {
  /** The private key's file. */
  readonly path: string;
  /** What lets it in: systemd-tmpfiles of the guest writes root's authorized keys. */
  readonly credentials: ReadonlyMap<string, Uint8Array>;
}

/**
 * The key for a machine's SSH, made once.
 *
 * @returns nothing where OpenSSH is not installed: nobody could use the key
 */
export async function requireSshKey(directory: string): Promise<SshKey | undefined> {
  if (findProgram("ssh-keygen") === undefined) return undefined;
  const path = join(directory, "id_ed25519");
  if (!(await exists(path)))
    await runCommand(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sealwright", "-f", path]);
  const publicKey = (await readFile(`${path}.pub`, "latin1")).trim();
  const lines = ["d /root/.ssh 0700 root root -", `f+ /root/.ssh/authorized_keys 0600 root root - ${publicKey}`];
  return { path, credentials: new Map([["tmpfiles.extra", Buffer.from(`${lines.join("\n")}\n`)]]) };
}

/** The command that opens a shell, or runs a command, in a machine. */
export function sshArguments(directory: string, port: number, command: readonly string[]): [string, ...string[]] {
  const options = {
    BatchMode: "yes",
    IdentitiesOnly: "yes",
    // The guest's key is as new as the guest, and nobody else listens on this port of the loopback address.
    StrictHostKeyChecking: "no",
    UserKnownHostsFile: "/dev/null",
    LogLevel: "ERROR",
    ConnectTimeout: "10",
  };
  const flags = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return ["ssh", "-i", join(directory, "id_ed25519"), "-p", String(port), ...flags, "root@127.0.0.1", ...command];
}
