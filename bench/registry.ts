/**
 * Sealing from one tag of a registry to another against `skopeo copy` of the same image: wall time and bytes that
 * cross the connection, each way. The registry is Debian's docker-registry on loopback.
 *
 *     npx -c 'node bench/registry.ts [MIB]'
 *
 * Every measurement is a process of its own. A relay counts the bytes, for both programs alike.
 */
import { execFile } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { connect, createServer } from "node:net";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { openTempDir } from "../src/model/host-io/temp.ts";
import { listening, startRegistry } from "../test/registry/servers.ts";
import { writeSmallOs } from "../test/small-os.ts";

const run = promisify(execFile);
const MIB = 1 << 20;
const size = Number(process.argv[2] ?? 256);
const sealwright = join(import.meta.dirname, "../bin/sealwright.cjs");

let up = 0;
let down = 0;
const relay = createServer((client) => {
  const [host = "", port = ""] = registry.host.split(":");
  const server = connect(Number(port), host);
  client.on("data", (chunk) => void (up += chunk.length));
  server.on("data", (chunk) => void (down += chunk.length));
  client.on("error", () => server.destroy());
  server.on("error", () => client.destroy());
  client.pipe(server).pipe(client);
});

/** Four layers beside that of the OS: half of their bytes are zeros, half do not compress. */
function layerOf(index: number): Record<string, Uint8Array | string> {
  const bytes = Buffer.alloc((size * MIB) / 4);
  randomFillSync(bytes, 0, bytes.length / 2);
  return { "usr/": "", "usr/share/": "", [`usr/share/big-${index}`]: bytes };
}

async function measure(name: string, program: string, args: readonly string[]): Promise<void> {
  up = 0;
  down = 0;
  const started = performance.now();
  await run("/usr/bin/env", ["time", "-f", "%M", program, ...args], { maxBuffer: MIB }).then(({ stderr }) => {
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    const rss = Math.round(Number(stderr.trim().split("\n").at(-1)) / 1024);
    const amount = (bytes: number): string => (bytes / MIB).toFixed(1).padStart(8);
    console.log(
      `${name.padEnd(44)} ${seconds.padStart(7)} s  sent ${amount(up)} MiB  received ${amount(down)} MiB  peak ${rss} MiB`,
    );
  });
}

await using registry = await startRegistry();
await using counted = await listening(relay);
await using temp = await openTempDir();
await writeSmallOs(`oci:${temp.path}/os`, { layers: [0, 1, 2, 3].map(layerOf) });
const from = `${counted.host}/team/os:latest`;
const to = (name: string): string => `${counted.host}/team/${name}:latest`;
const node = (...args: string[]): [string, string[]] => [process.execPath, [sealwright, ...args, "--tls-verify=false"]];
const skopeo = (a: string, b: string): [string, string[]] => [
  "skopeo",
  ["copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", a, b],
];

console.log(`${availableParallelism()} CPUs, an OS of ${size} MiB in 5 layers`);
await measure(
  "skopeo copy     layout -> registry",
  ...skopeo(`oci:${temp.path}/os`, `docker://${to("pushed-by-skopeo")}`),
);
await measure("sealwright copy layout -> registry", ...node("copy", `oci:${temp.path}/os`, from));
await measure(
  "skopeo copy     tag -> other repository",
  ...skopeo(`docker://${from}`, `docker://${to("copied-by-skopeo")}`),
);
await measure("sealwright copy tag -> other repository", ...node("copy", from, to("copied")));
await measure("skopeo copy     tag -> layout", ...skopeo(`docker://${from}`, `oci:${temp.path}/by-skopeo:x`));
await measure("sealwright copy tag -> layout", ...node("copy", from, `oci:${temp.path}/ours:x`));
process.env["XDG_CACHE_HOME"] = join(temp.path, "cache");
const keys = ["--ephemeral-keys"];
await measure("sealwright seal tag -> tag, nothing known", ...node("seal", from, "--to", to("sealed"), ...keys));
await measure("sealwright seal tag -> tag, layers known", ...node("seal", from, "--to", to("sealed-again"), ...keys));
