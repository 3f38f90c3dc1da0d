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

interface Figures {
  readonly seconds: number;
  /** Over the connection, both ways. */
  readonly moved: number;
}

/** @param against what `skopeo copy` of the same image took: shown as a ratio */
async function measure(name: string, [program, args]: Command, against?: Figures): Promise<Figures> {
  up = 0;
  down = 0;
  const started = performance.now();
  const { stderr } = await run("/usr/bin/env", ["time", "-f", "%M", program, ...args], { maxBuffer: MIB });
  const seconds = (performance.now() - started) / 1000;
  const rss = Math.round(Number(stderr.trim().split("\n").at(-1)) / 1024);
  const amount = (bytes: number): string => (bytes / MIB).toFixed(1).padStart(7);
  const ratio = (ours: number, theirs: number): string => (ours / theirs).toFixed(2);
  const moved = up + down;
  const compared = against && `  time x ${ratio(seconds, against.seconds)}, bytes x ${ratio(moved, against.moved)}`;
  console.log(
    `${name.padEnd(46)} ${seconds.toFixed(2).padStart(7)} s  sent ${amount(up)} MiB  received ${amount(down)} MiB  peak ${rss} MiB${compared ?? ""}`,
  );
  return { seconds, moved };
}

type Command = readonly [program: string, args: readonly string[]];

await using registry = await startRegistry();
await using counted = await listening(relay);
await using temp = await openTempDir();
await writeSmallOs(`oci:${temp.path}/os`, { layers: [0, 1, 2, 3].map(layerOf) });
const from = `${counted.host}/team/os:latest`;
const to = (name: string): string => `${counted.host}/team/${name}:latest`;
const node = (...args: string[]): Command => [process.execPath, [sealwright, ...args, "--tls-verify=false"]];
const skopeo = (a: string, b: string): Command => [
  "skopeo",
  ["copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", a, b],
];
const docker = (name: string): string => `docker://${to(name)}`;

console.log(`${availableParallelism()} CPUs, an OS of ${size} MiB in 5 layers`);
const pushed = await measure("skopeo copy     layout -> registry", skopeo(`oci:${temp.path}/os`, docker("by-skopeo")));
await measure("sealwright copy layout -> registry", node("copy", `oci:${temp.path}/os`, from), pushed);
const mounted = await measure(
  "skopeo copy     tag -> other repository",
  skopeo(`docker://${from}`, docker("copied-s")),
);
await measure("sealwright copy tag -> other repository", node("copy", from, to("copied")), mounted);
const pulled = await measure(
  "skopeo copy     tag -> layout",
  skopeo(`docker://${from}`, `oci:${temp.path}/by-skopeo:x`),
);
await measure("sealwright copy tag -> layout", node("copy", from, `oci:${temp.path}/ours:x`), pulled);
process.env["XDG_CACHE_HOME"] = join(temp.path, "cache");
const seal = (name: string, ...more: string[]): Command =>
  node("seal", from, "--to", to(name), "--ephemeral-keys", ...more);
// What a seal has to read, skopeo reads into a layout; what both leave in the registry, neither moves.
await measure("sealwright seal tag -> tag, nothing known", seal("sealed"), pulled);
await measure("sealwright seal tag -> tag, layers known", seal("sealed-again"), pulled);
await measure("sealwright seal --attest, layers known", seal("sealed-said", "--attest", "signature,composefs"), pulled);
