/** Programs that run beside us: a virtual machine and its TPM. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { CommandError, quote } from "../../lib/errors.ts";

export interface ProcessOptions {
  /** Where standard output and standard error are appended. */
  readonly log: string;
  /** Lives on when we end. Otherwise the kernel ends it with us, even when we are killed. */
  readonly detached?: boolean;
  /** The terminal is the program's own; `log` then gets standard error alone. */
  readonly terminal?: boolean;
}

export interface RunningProcess {
  readonly pid: number;
  /** When the kernel started it, to know it from a later process with the same number. */
  readonly startTime: string;
  /** Fulfilled at the end, however it came. */
  readonly ended: Promise<void>;
}

/**
 * Starts a program and does not wait for it.
 *
 * @throws {CommandError} `command.not-found`, `command.failed`
 */
export async function startProcess(
  argv: readonly [string, ...string[]],
  { log, detached = false, terminal = false }: ProcessOptions,
): Promise<RunningProcess> {
  if (findProgram(argv[0]) === undefined) {
    throw new CommandError("command.not-found", `${quote(argv[0])}: program not found`, { data: { argv } });
  }
  await using output = await open(log, "a", 0o600);
  // Node cannot ask for the signal of a parent's death; setpriv of util-linux can.
  const bound = detached || findProgram("setpriv") === undefined ? argv : ["setpriv", "--pdeathsig", "KILL", ...argv];
  const [file = "", ...args] = bound;
  const [stdin, stdout] = terminal ? (["inherit", "inherit"] as const) : (["ignore", output.fd] as const);
  const child = spawn(file, args, { detached, stdio: [stdin, stdout, output.fd] });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  if (detached) child.unref();
  const { pid } = child;
  if (pid === undefined) throw new CommandError("command.failed", `${quote(argv[0])}: cannot be started`);
  return { pid, startTime: (await startTimeOf(pid)) ?? "", ended };
}

/** Looks a program up in PATH, as spawning it would. */
export function findProgram(name: string): string | undefined {
  if (name.includes("/")) return existsSync(name) ? name : undefined;
  // Tools of the administrator (swtpm_setup, mke2fs) are not in everybody's PATH.
  const places = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return places.map((place) => join(place, name)).find((path) => existsSync(path));
}

/** Field 22 of /proc/PID/stat, in clock ticks since the machine started; absent when there is no such process. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => undefined);
  // The name in parentheses may hold anything, so fields are counted behind it.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields === undefined || fields[0] === "Z" ? undefined : fields[19];
}

/** This process. */
export async function selfIdentity(): Promise<Pick<RunningProcess, "pid" | "startTime">> {
  return { pid: process.pid, startTime: (await startTimeOf(process.pid)) ?? "" };
}

/** Whether this very process is still there. */
export async function isAlive({ pid, startTime }: Pick<RunningProcess, "pid" | "startTime">): Promise<boolean> {
  return (await startTimeOf(pid)) === startTime && startTime !== "";
}

/** Ends a process with SIGTERM, and with SIGKILL after `graceMs`. One that is gone already is left alone. */
export async function endProcess(target: Pick<RunningProcess, "pid" | "startTime">, graceMs = 3000): Promise<void> {
  for (const [signal, waitMs] of [
    ["SIGTERM", graceMs],
    ["SIGKILL", 3000],
  ] as const) {
    if (!(await isAlive(target))) return;
    try {
      process.kill(target.pid, signal);
    } catch {
      return; // it ended by itself
    }
    for (let waited = 0; waited < waitMs && (await isAlive(target)); waited += 50) await pause(50);
  }
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    if (signal?.aborted === true) done();
    else signal?.addEventListener("abort", done);
  });
}

/**
 * Runs a program on our terminal and waits for it.
 *
 * @returns its exit status, 128 and the number of the signal when one ended it
 * @throws {CommandError} `command.not-found`
 */
export async function runOnTerminal(argv: readonly [string, ...string[]]): Promise<number> {
  const [file, ...args] = argv;
  return await new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: "inherit" });
    child.once("error", (cause) =>
      reject(new CommandError("command.not-found", `${quote(file)}: cannot be started`, { cause })),
    );
    child.once("exit", (status, signal) => resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
