/** Runs other programs: an argument list and no shell, what they said last kept for the error. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { CommandError, InterruptedError, quote } from "../../lib/errors.ts";
import { throwIfInterrupted } from "./interrupt.ts";

export interface CommandOptions {
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  /** Replaces the whole environment; without it the program gets ours. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the program reads. Nothing by default. */
  readonly stdin?: Uint8Array;
}

export interface CommandOutput {
  readonly stdout: Uint8Array;
  /** The last `STDERR_KEPT` bytes. */
  readonly stderr: string;
}

/** Bytes of stderr kept for the message of a failure. */
const STDERR_KEPT = 8 * 1024;

/** Safety limit on what `runCommand` collects; larger output is streamed. */
export const MAX_COMMAND_OUTPUT = 256 * 1024 * 1024;

/**
 * Runs a program and collects what it writes.
 *
 * @param argv program, by path or looked up in PATH, and its arguments
 * @throws {CommandError} `command.not-found`, `command.failed`, `command.killed`, `command.output-too-large`
 * @throws {InterruptedError} when `signal` fires; the program is ended with SIGTERM
 */
export async function runCommand(
  argv: readonly [string, ...string[]],
  options: CommandOptions = {},
): Promise<CommandOutput> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  await using command = startCommand(argv, options);
  for await (const chunk of command.stdout) {
    size += chunk.length;
    if (size > MAX_COMMAND_OUTPUT) {
      throw new CommandError("command.output-too-large", `${showArgv(argv)}: more than ${MAX_COMMAND_OUTPUT} bytes`);
    }
    chunks.push(chunk);
  }
  const stderr = await command.finished();
  return { stdout: Buffer.concat(chunks, size), stderr };
}

export interface RunningCommand extends AsyncDisposable {
  /** The chunks are the caller's to keep. Read to the end before `finished`. */
  readonly stdout: AsyncIterable<Uint8Array>;
  /**
   * Waits for a good end.
   *
   * @returns the end of stderr
   * @throws as `runCommand`
   */
  finished(): Promise<string>;
}

/** Starts a program whose output is read while it runs. Disposing ends a program that is still there. */
export function startCommand(argv: readonly [string, ...string[]], options: CommandOptions = {}): RunningCommand {
  const { signal, cwd, env, stdin } = options;
  throwIfInterrupted(signal);
  const [file, ...args] = argv;
  const child = spawn(file, args, {
    stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(signal === undefined ? {} : { signal }),
  });
  const stderr = keepTail(child.stderr as Readable);
  const ended = waitForEnd(child, argv, stderr, signal);
  // Whoever iterates stdout first must not be overtaken by a rejection nobody listens to yet.
  ended.catch(() => {});
  if (stdin !== undefined) feed(child.stdin as Writable, stdin);
  return {
    stdout: child.stdout as Readable,
    async finished() {
      await ended;
      return stderr();
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended.catch(() => {});
    },
  };
}

function waitForEnd(
  child: ChildProcess,
  argv: readonly string[],
  stderr: () => string,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (code: string, message: string, data: Record<string, unknown>, cause?: unknown): void => {
      const said = stderr().trimEnd();
      const text = `${showArgv(argv)}: ${message}${said === "" ? "" : `: ${said}`}`;
      reject(new CommandError(code, text, { cause, data: { argv, ...data } }));
    };
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (error.name === "AbortError") reject(new InterruptedError());
      else if (error.code === "ENOENT") fail("command.not-found", "program not found", {}, error);
      else fail("command.failed", error.message, {}, error);
    });
    child.on("close", (status, killedBy) => {
      if (status === 0) resolve();
      else if (signal?.aborted === true) reject(new InterruptedError());
      else if (killedBy !== null) fail("command.killed", `ended by ${killedBy}`, { signal: killedBy });
      else fail("command.failed", `exit status ${status}`, { status });
    });
  });
}

/** A program may end without reading what it was given; that is its right, and its status tells. */
function feed(input: Writable, bytes: Uint8Array): void {
  input.on("error", () => {});
  input.end(bytes);
}

function keepTail(stream: Readable): () => string {
  let tail = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]);
    if (tail.length > STDERR_KEPT) tail = tail.subarray(tail.length - STDERR_KEPT);
  });
  return () => tail.toString("utf8");
}

function showArgv(argv: readonly string[]): string {
  const [program = ""] = argv;
  return quote(program.slice(program.lastIndexOf("/") + 1));
}
