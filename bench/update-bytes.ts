/**
 * What an update of a Debian image costs hosts, in every way: layers as they were built, layers cut by content, objects,
 * deltas. Three builds of one recipe: the release as it came out, with its updates, with its security updates.
 *
 *     npx -c 'node bench/update-bytes.ts [DIRECTORY]'
 *
 * The builds stay in DIRECTORY (default: .cache/update-bytes) and are made once; mmdebstrap and the archive of Debian are
 * needed for that. Every measurement is a process of its own; the layer cache is empty at first and then its own.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { UpdateReport } from "../src/actions/plan-update/report.ts";
import type { RechunkReport } from "../src/actions/rechunk/report.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const directory = resolve(process.argv[2] ?? join(root, ".cache/update-bytes"));
const sealwright = join(root, "bin/sealwright.cjs");

const MAIN = "deb http://deb.debian.org/debian trixie main";
const UPDATES = "deb http://deb.debian.org/debian trixie-updates main";
const SECURITY = "deb http://security.debian.org/debian-security trixie-security main";
const BUILDS: readonly (readonly [name: string, mirrors: readonly string[]])[] = [
  ["release", [MAIN]],
  ["updates", [MAIN, UPDATES]],
  ["security", [MAIN, UPDATES, SECURITY]],
];
const LAYERS = [16, 32, 64, 128];

interface Measured {
  readonly json: unknown;
  readonly seconds: number;
  /** MiB. */
  readonly peak: number;
}

async function call(...args: string[]): Promise<Measured> {
  const env = { ...process.env, XDG_CACHE_HOME: join(directory, "cache") };
  const started = performance.now();
  const argv = ["time", "-f", "%M", process.execPath, sealwright, ...args, "--json"];
  const { stderr, stdout } = await run("/usr/bin/env", argv, { env, maxBuffer: 1 << 28 });
  const peak = Math.round(Number(stderr.trim().split("\n").at(-1)) / 1024);
  return { json: JSON.parse(stdout), seconds: (performance.now() - started) / 1000, peak };
}

const image = (name: string): string => `oci:${join(directory, name)}:x`;

const mib = (bytes: number | null | undefined): string => `${((bytes ?? 0) / 2 ** 20).toFixed(1)} MiB`.padStart(10);

const show = (what: string, ...values: string[]): void => console.log(`  ${what.padEnd(38)} ${values.join("  ")}`);

async function build(name: string, mirrors: readonly string[]): Promise<void> {
  if (existsSync(join(directory, name))) return;
  mkdirSync(join(directory, "packages"), { recursive: true });
  const lines = mirrors.flatMap((line) => ["--mirror", line]);
  const { seconds } = await call(
    "image",
    "debian",
    "-o",
    image(name),
    "--package-cache",
    join(directory, "packages"),
    ...lines,
  );
  console.log(`built ${name} in ${seconds.toFixed(0)} s`);
}

/** Cuts an image; one that was cut before is cut again. */
async function rechunk(name: string, to: string, ...args: string[]): Promise<RechunkReport & Omit<Measured, "json">> {
  rmSync(join(directory, to), { recursive: true, force: true });
  const { json, ...rest } = await call("rechunk", image(name), "--to", image(to), ...args);
  return { ...(json as RechunkReport), ...rest };
}

const plan = async (from: string, to: string, ...args: string[]): Promise<UpdateReport & Omit<Measured, "json">> => {
  const { json, ...rest } = await call("plan-update", image(from), image(to), ...args);
  return { ...(json as UpdateReport), ...rest };
};

async function measureStep(before: string, after: string, history: readonly string[]): Promise<void> {
  const update = await plan(before, after);
  console.log(`\n${before} -> ${after}`);
  show("layers as they were built", mib(update.layers?.fetched.size), `of ${mib(update.layers?.total.size).trim()}`);
  for (const count of LAYERS) {
    const max = ["--max-layers", String(count)];
    const cut = (name: string): string => `${name}-${count}`;
    await rechunk(after, `${after}-alone`, ...max);
    const alone = await plan(cut(before), `${after}-alone`, "--no-deltas");
    const previous = history.flatMap((name) => ["--previous", image(cut(name))]);
    const report = await rechunk(after, cut(after), ...max, ...previous);
    const kept = await plan(cut(before), cut(after), "--no-deltas");
    const { fetched, total } = kept.layers ?? { fetched: { count: 0, size: 0 }, total: { count: 0, size: 0 } };
    show(`rechunked, ${count} layers, each alone`, mib(alone.layers?.fetched.size));
    show(
      `rechunked, ${count} layers, with --previous`,
      mib(fetched.size),
      `${fetched.count} of ${total.count} layers, ${mib(total.size).trim()}; cut in ${report.seconds.toFixed(1)} s, peak ${report.peak} MiB`,
    );
  }
  const { fetched, total } = update.objects;
  show("objects", mib(fetched.size), `${fetched.count} of ${total.count}`);
  show("objects, each compressed", mib(update.objects.compressed));
  const measured = `measured in ${update.seconds.toFixed(1)} s, peak ${update.peak} MiB`;
  show("deltas", mib(update.deltas?.size), `and ${mib(update.metadata?.delta).trim()} of metadata; ${measured}`);
  const top = update.components
    .slice(0, 6)
    .map(({ delta, name, size }) => `${name} ${mib(size).trim()} (${mib(delta).trim()})`);
  show("objects (deltas) by component", top.join(", "));
}

console.log(`${availableParallelism()} CPUs, Node ${process.version}`);
for (const [name, mirrors] of BUILDS) await build(name, mirrors);
rmSync(join(directory, "cache"), { recursive: true, force: true });
for (const count of LAYERS) await rechunk("release", `release-${count}`, "--max-layers", String(count));
await measureStep("release", "updates", ["release"]);
await measureStep("updates", "security", ["updates", "release"]);
