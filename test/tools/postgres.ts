/** A PostgreSQL server of its own: in a temporary directory, on a Unix socket, as a user without rights. */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

export interface TestPostgres extends AsyncDisposable {
  /** Makes an empty database and gives its address. */
  createDatabase(name: string): string;
}

/** Debian puts each major version into a folder of its own. */
function programs(): string {
  const [version] = readdirSync("/usr/lib/postgresql").sort().reverse();
  return `/usr/lib/postgresql/${version}/bin`;
}

/** PostgreSQL refuses to run as root. */
const asUser = (argv: readonly string[]): [string, string[]] =>
  process.getuid?.() === 0
    ? ["setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", "--", ...argv]]
    : [argv[0] as string, argv.slice(1)];

const USER = "tester";

export async function startPostgres(): Promise<TestPostgres> {
  const directory = mkdtempSync(join(tmpdir(), "sealwright-postgres-"));
  chmodSync(directory, 0o755);
  if (process.getuid?.() === 0) execFileSync("chown", ["postgres:", directory]);
  const bin = programs();
  const data = join(directory, "data");
  const initdb = [join(bin, "initdb"), "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"];
  const run = (argv: readonly string[]): void => {
    const [command, args] = asUser(argv);
    execFileSync(command, args, { stdio: "pipe", cwd: directory });
  };
  run(initdb);
  const settings = ["listen_addresses=", `unix_socket_directories=${directory}`, "fsync=off", "max_connections=60"];
  const [command, args] = asUser([
    join(bin, "postgres"),
    "-D",
    data,
    ...settings.flatMap((setting) => ["-c", setting]),
  ]);
  const server = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"], cwd: directory });
  const said: string[] = [];
  server.stderr.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  for (let tries = 0; !said.join("").includes("ready to accept connections"); tries++) {
    if (server.exitCode !== null || tries > 600) throw new Error(`postgres does not start: ${said.join("")}`);
    await wait(50);
  }
  const address = (database: string) =>
    `postgres://${USER}@localhost/${database}?host=${encodeURIComponent(directory)}`;
  return {
    createDatabase(name) {
      run([join(bin, "createdb"), "-h", directory, "-U", USER, name]);
      return address(name);
    },
    async [Symbol.asyncDispose]() {
      server.kill("SIGINT"); // fast shutdown
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
