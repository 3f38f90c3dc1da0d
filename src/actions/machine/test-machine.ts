import { join } from "node:path";
import { quote, UnsupportedError, UsageError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { runCommand } from "../../model/host-io/command.ts";
import { openTempDir } from "../../model/host-io/temp.ts";
import type { AcceleratorChoice } from "../../model/machine/accelerator.ts";
import { tailOf } from "../../model/machine/diagnose.ts";
import { DiskEditor } from "./disk-editor.ts";
import { checkCredentials, type GuestReport, isWhole, parseReport } from "./guest-check.ts";
import { checkMeasurements } from "./measured-boot.ts";
import { type Check, checkSeal } from "./seal-checks.ts";
import { loadSealedDisk, type SealedDisk } from "./sealed-disk.ts";
import { describe, type MachinePlaces, startMachine } from "./start.ts";
import { type CaughtBy, TAMPER_CASES, type TamperCase, type TamperTools } from "./tamper.ts";
import { loadSerial, type Outcome, watchMachine } from "./watch.ts";

export interface TestOptions {
  readonly places: MachinePlaces;
  /** Enrolled: GUID.txt, PK.crt, KEK.crt, db.crt. */
  readonly keys: string;
  /** Names of `TAMPER_CASES`. */
  readonly tamper?: readonly string[];
  /** For one boot. Default 5 minutes: under emulation on a busy host a boot takes one or two. */
  readonly timeoutMs?: number | undefined;
  readonly tpm?: boolean;
  readonly accelerator?: AcceleratorChoice | undefined;
  readonly tools: TamperTools;
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
}

export interface TestReport {
  readonly disk: string;
  readonly digest: string;
  /** "KVM", or why it was emulated. */
  readonly accelerator: string;
  /** The seal from inside the running system. */
  readonly checks: readonly TimedCheck[];
  /** Changed disks, in the order in which they were tried. */
  readonly tampering: readonly TimedCheck[];
  readonly holds: boolean;
}

export interface TimedCheck extends Omit<Check, "status"> {
  /** A way of tampering that does not fit this disk is not tried. */
  readonly status: Check["status"] | "not-tried";
  readonly seconds?: number;
}

const DEFAULT_TIMEOUT_MS = 5 * 60_000;
/** As a cause code: the disk was changed and nobody noticed. */
const UNNOTICED = "seal.tamper.unnoticed";

/**
 * Boots a disk under Secure Boot and has the running system prove its seal; then changes a copy of it in every way that
 * is asked for, and boots each, which must be refused at the right link.
 *
 * The disk itself is never written to. One machine runs at a time, and none is left.
 *
 * @throws {UsageError} `machine.tamper.unknown`
 * @throws what `loadSealedDisk` and `startMachine` throw; a seal that does not hold is no error but a report
 */
export async function testMachine(disk: string, options: TestOptions): Promise<TestReport> {
  const { progress = silent } = options;
  const cases = requireCases(options.tamper ?? []);
  progress({ step: "test.read", text: "reading the disk" });
  const sealed = await loadSealedDisk(disk);
  progress({ step: "test.boot", text: "booting the disk" });
  const first = await boot(disk, sealed, options);
  const checks = judgeBoot(first, sealed);
  const tampering =
    cases.length === 0 ? [] : await tryCases(disk, sealed, cases, { ...options, accelerator: first.choice });
  return {
    disk,
    digest: sealed.digest,
    accelerator: describe(first.choice),
    checks,
    tampering,
    holds: [...checks, ...tampering].every(({ status }) => status !== "broken"),
  };
}

function requireCases(names: readonly string[]): readonly TamperCase[] {
  return names.map((name) => {
    const found = TAMPER_CASES.find((each) => each.name === name);
    if (found === undefined) {
      const known = TAMPER_CASES.map((each) => each.name).join(", ");
      throw new UsageError("machine.tamper.unknown", `no way to tamper is called ${quote(name)}; known: ${known}`);
    }
    return found;
  });
}

interface Boot {
  readonly choice: AcceleratorChoice;
  readonly outcome: Outcome;
  readonly report: GuestReport | undefined;
  readonly seconds: number;
  readonly tail: string;
}

async function boot(disk: string, sealed: SealedDisk, options: TestOptions): Promise<Boot> {
  const { accelerator, keys, places, progress, signal, timeoutMs = DEFAULT_TIMEOUT_MS, tpm = true } = options;
  const started = performance.now();
  await using machine = await startMachine(disk, {
    places,
    keys,
    tpm,
    accelerator,
    signal,
    progress,
    snapshot: true,
    network: false,
    report: true,
    credentials: checkCredentials(sealed.architecture, sealed.victim === undefined ? [] : [sealed.victim.path]),
  });
  const until = async (): Promise<boolean> => isWhole(await loadSerial(machine.report));
  const outcome = await watchMachine(machine, { until, timeoutMs, signal });
  return {
    choice: machine.accelerator,
    outcome,
    report: outcome.kind === "reached" ? parseReport(await loadSerial(machine.report)) : undefined,
    seconds: Math.round((performance.now() - started) / 100) / 10,
    tail: tailOf(await loadSerial(machine.serialLog)),
  };
}

function judgeBoot({ outcome, report, seconds, tail }: Boot, sealed: SealedDisk): TimedCheck[] {
  if (report === undefined) {
    const { code, detail } = explain(outcome, tail);
    return [{ name: "boot", title: "boot", status: "broken", code, detail, seconds }];
  }
  const read = sealed.victim === undefined ? undefined : report.reads.get(sealed.victim.path);
  return [
    { name: "boot", title: "boot", status: "holds", detail: `up in ${seconds} s`, seconds },
    ...checkSeal(report, sealed),
    ...checkMeasurements(report, sealed),
    ...(sealed.victim === undefined ? [] : [judgeRead(sealed.victim.path, read ?? "no answer")]),
  ];
}

function judgeRead(path: string, answer: string): Check {
  const holds = answer === "ok";
  const base = { name: "read", title: "reading", detail: holds ? `${path} reads` : `${path}: ${answer}` };
  return holds ? { ...base, status: "holds" } : { ...base, status: "broken", code: "seal.read.failed" };
}

function explain(outcome: Outcome, tail: string): { readonly code: string; readonly detail: string } {
  if (outcome.kind !== "reached" && outcome.diagnosis !== undefined) {
    return { code: outcome.diagnosis.code, detail: `${outcome.diagnosis.message}: ${outcome.diagnosis.evidence}` };
  }
  return outcome.kind === "timeout"
    ? { code: "machine.timeout", detail: `no answer in time; the console ends with:\n${tail}` }
    : { code: "machine.ended-early", detail: `it ended without an answer; the console ends with:\n${tail}` };
}

async function tryCases(
  disk: string,
  sealed: SealedDisk,
  cases: readonly TamperCase[],
  options: TestOptions,
): Promise<TimedCheck[]> {
  const { progress = silent, signal, tools } = options;
  await using directory = await openTempDir("sealwright-tamper");
  const copy = join(directory.path, "tampered.raw");
  // Sparse, and raw whatever the disk is.
  await runCommand(["qemu-img", "convert", "-O", "raw", disk, copy], signal === undefined ? {} : { signal });
  // Offsets of a raw disk are those of its contents, and the copy has the same contents.
  const results: TimedCheck[] = [];
  for (const [index, each] of cases.entries()) {
    progress({ step: "test.tamper", text: `${each.title} (${index + 1} of ${cases.length})` });
    await using editor = await DiskEditor.open(copy);
    const obstacle = await applyCase(each, editor, sealed, tools);
    results.push(obstacle ?? judgeCase(each, await boot(copy, sealed, options), sealed));
  }
  return results;
}

async function applyCase(
  { apply, name, title }: TamperCase,
  editor: DiskEditor,
  sealed: SealedDisk,
  tools: TamperTools,
): Promise<TimedCheck | undefined> {
  try {
    await apply(editor, sealed, tools);
    return undefined;
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    return { name, title, status: "not-tried", code: error.code, detail: error.message };
  }
}

function judgeCase(
  { caughtBy, name, title }: TamperCase,
  { outcome, report, seconds, tail }: Boot,
  sealed: SealedDisk,
): TimedCheck {
  const base = { name, title, seconds };
  if (report !== undefined) return { ...base, ...judgeRunning(caughtBy, report, sealed) };
  const { code, detail } = explain(outcome, tail);
  const expected = caughtBy.kind === "refused" && caughtBy.codes.includes(code);
  return expected
    ? { ...base, status: "holds", detail }
    : {
        ...base,
        status: "broken",
        code: "seal.tamper.wrong-link",
        detail: `caught elsewhere than expected: ${code}: ${detail}`,
      };
}

/** The changed disk booted: what was changed cannot be read, or nothing rests on it. */
function judgeRunning(caughtBy: CaughtBy, report: GuestReport, sealed: SealedDisk): Omit<Check, "name" | "title"> {
  const { path } = sealed.victim ?? { path: "" };
  const answer = report.reads.get(path) ?? "";
  if (caughtBy.kind === "read-error" && answer === caughtBy.message) {
    return { status: "holds", detail: `booted; reading ${path} gives "${answer}"` };
  }
  if (caughtBy.kind === "without-effect") {
    const broken = [...checkSeal(report, sealed), ...checkMeasurements(report, sealed)].find(
      ({ status }) => status === "broken",
    );
    if (broken === undefined) return { status: "holds", detail: "booted as sealed: nothing rests on it" };
    return {
      status: "broken",
      code: broken.code ?? UNNOTICED,
      detail: `booted, and ${broken.title}: ${broken.detail}`,
    };
  }
  return { status: "broken", code: UNNOTICED, detail: `booted, and nothing was refused (reading: ${answer})` };
}
