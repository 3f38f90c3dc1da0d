/**
 * npm test: what the tests need, the static checks, then the tests, quick ones first.
 *
 *     npm test                    everything
 *     npm test -- src/formats/x   only the tests of these paths; options go to vitest as they are
 *
 * The last line is "N passed, N failed". A check that fails counts as one failure.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readPackageList, requireDebianPackages } from "./debian-packages.ts";
import { buildNativePackages } from "./native.ts";
import { run } from "./run.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** The members we read of what vitest's JSON reporter writes. */
interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

const CHECKS: readonly (readonly [string, ...string[]])[] = [
  ["tsc", "-p", "."],
  ["tsc", "-p", "src/web"],
  ["oxlint", "--type-aware", "--deny-warnings"],
  ["biome", "check"],
];

/** Quick tests first: a failure is found by the cheapest test that can. Machines are booted one at a time. */
const STAGES: readonly (readonly string[])[] = [
  ["src", "test", "--exclude", "test/interop/**", "--exclude", "test/e2e/**"],
  ["test/interop"],
  ["test/e2e", "--no-file-parallelism"],
];

function main(paths: readonly string[]): void {
  requireDebianPackages(readPackageList("test/debian-packages.txt"));
  buildNativePackages();
  const counts = paths.length > 0 ? [vitest(paths)] : [...CHECKS.map(check), ...STAGES.map(vitest)];
  const passed = counts.reduce((sum, count) => sum + count.passed, 0);
  const failed = counts.reduce((sum, count) => sum + count.failed, 0);
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

function check(argv: readonly [string, ...string[]]): Counts {
  console.log(`== ${argv.join(" ")}`);
  return { passed: 0, failed: run(argv, { mayFail: true }) ? 0 : 1 };
}

function vitest(args: readonly string[]): Counts {
  console.log(`== vitest run ${args.join(" ")}`);
  const directory = mkdtempSync(join(tmpdir(), "sealwright-test-"));
  try {
    const report = join(directory, "report.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const succeeded = run(["vitest", "run", "--passWithNoTests", ...reporters, ...args], { mayFail: true });
    const counts = readCounts(report);
    // Errors outside of any test, a report that is not there: vitest fails and no test has.
    return succeeded || counts.failed > 0 ? counts : { ...counts, failed: 1 };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function readCounts(path: string): Counts {
  try {
    const report = JSON.parse(readFileSync(path, "utf8")) as VitestReport;
    const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
    return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

main(process.argv.slice(2));
