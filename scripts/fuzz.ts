/**
 * npm run fuzz: gives every parser inputs that are almost valid, for as long as wanted.
 *
 *     npm run fuzz -- [TARGET ...] [--minutes N] [--seed N]
 *
 * Inputs that reach code no input reached before are kept in `.cache/fuzz/TARGET/corpus` and mutated further, also in
 * the next run. What makes a parser fail, hang or run out of memory is made as small as possible and kept in
 * `.cache/fuzz/TARGET/crashes`; then the exit status is 1.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { FUZZ_TARGETS, type FuzzTarget } from "../test/fuzz/targets.ts";
import { CURRENT_MAX, type FuzzReport, type FuzzWork } from "./fuzz-worker.ts";

const CACHE = fileURLToPath(new URL("../.cache/fuzz", import.meta.url));
/** No progress for so long is a hang: an input may take 2 seconds by itself. */
const HANG_MS = 5000;
/** Heap of one parser at work; the largest valid inputs need a tenth. */
const HEAP_MB = 512;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string", default: "1" } },
});
const unknown = positionals.filter((name) => !FUZZ_TARGETS.some((target) => target.name === name));
if (unknown.length > 0) {
  console.error(`no target ${unknown.join(", ")}; there are ${FUZZ_TARGETS.map(({ name }) => name).join(", ")}`);
  process.exit(64);
}
const chosen = FUZZ_TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
for (const target of chosen) await fuzz(target, Number(values.minutes) * 60_000, Number(values.seed));

async function fuzz(target: FuzzTarget, durationMs: number, firstSeed: number): Promise<void> {
  const directories = { corpus: join(CACHE, target.name, "corpus"), crashes: join(CACHE, target.name, "crashes") };
  for (const directory of Object.values(directories)) mkdirSync(directory, { recursive: true });
  const end = Date.now() + durationMs;
  let runs = 0;
  let crashes = 0;
  const found = new Set<string>();
  // After a crash another worker goes on with other seeds.
  for (let seed = firstSeed; Date.now() < end && crashes < 5; seed++) {
    const report = await runWorker({ target: target.name, seed, end, kept: readAll(directories.corpus) });
    runs += report.runs;
    for (const bytes of report.novel) writeFileSync(join(directories.corpus, nameOf(bytes)), bytes);
    if (report.crash === undefined) continue;
    const { reason, input } = report.crash;
    const place = reason.split("\n").slice(0, 2).join(" ");
    if (found.has(place)) continue;
    found.add(place);
    crashes++;
    const path = join(directories.crashes, nameOf(input));
    writeFileSync(path, input);
    console.log(`${target.name}: ${path}, ${input.length} bytes\n${reason}`);
    process.exitCode = 1;
  }
  console.log(`${target.name}: ${runs} inputs, ${readdirSync(directories.corpus).length} kept, ${crashes} crashes`);
}

function nameOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 20);
}

function readAll(directory: string): Uint8Array[] {
  return readdirSync(directory).map((name) => readFileSync(join(directory, name)));
}

/** Runs one worker to its end, and stops it when an input takes too long. */
async function runWorker(work: Omit<FuzzWork, "counter" | "current">): Promise<FuzzReport> {
  const counter = new Int32Array(new SharedArrayBuffer(8));
  const current = new Uint8Array(new SharedArrayBuffer(CURRENT_MAX));
  const worker = new Worker(new URL("fuzz-worker.ts", import.meta.url), {
    workerData: { ...work, counter, current } satisfies FuzzWork,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const lost = (reason: string): FuzzReport => {
    const input = Uint8Array.from(current.subarray(0, counter[1]));
    return { runs: counter[0] ?? 0, novel: [], crash: { reason, input } };
  };
  const { promise, resolve } = Promise.withResolvers<FuzzReport>();
  let before = -1;
  const watchdog = setInterval(() => {
    if (counter[0] === before && before > 0) resolve(lost(`takes more than ${HANG_MS / 1000} seconds`));
    before = counter[0] ?? 0;
  }, HANG_MS);
  worker.once("message", resolve);
  worker.once("error", (error) => resolve(lost(String(error))));
  try {
    return await promise;
  } finally {
    clearInterval(watchdog);
    await worker.terminate();
  }
}
