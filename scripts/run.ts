import { spawnSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface RunOptions {
  /** Keeps the output to itself unless the program fails. */
  readonly quiet?: boolean;
  readonly mayFail?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs a program of a script to its end. A failure ends the script, with the program's own words and status.
 *
 * @returns whether it succeeded, for those that may fail
 */
export function run(argv: readonly [string, ...string[]], options: RunOptions = {}): boolean {
  const { quiet = false, mayFail = false, env = {} } = options;
  const [program, ...args] = argv;
  const output = quiet ? "pipe" : "inherit";
  const result = spawnSync(program, args, {
    stdio: ["ignore", output, output],
    env: { ...process.env, ...env },
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
  });
  if (result.status === 0) return true;
  if (mayFail) return false;
  if (quiet) process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  const reason = result.error?.message ?? result.signal ?? `exit status ${result.status}`;
  console.error(`${argv.join(" ")}: ${reason}`);
  return process.exit(result.status ?? 1);
}

/** Whether a module is the one that node was started with. */
export function isMain(url: string): boolean {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url);
}
