import { SealwrightError, VerificationError } from "../../lib/errors.ts";
import { loadMeasuredBoot, type MeasuredBoot, replayMeasuredBoot } from "../../model/host/index.ts";
import type { HostProgram } from "./programs.ts";
import type { HostVerdictBuilder } from "./verdict.ts";

/**
 * The event log replays to the PCRs of the TPM, and firmware started nothing but programs of the ESP that are signed, the
 * UKI among them.
 */
export async function verifyEventLog(
  verdict: HostVerdictBuilder,
  root: string,
  programs: readonly HostProgram[],
  uki: HostProgram | undefined,
): Promise<void> {
  const measured = await loadMeasuredBoot(root);
  if (measured === undefined) {
    const message = "found none: the machine has no TPM, or its firmware keeps no log";
    verdict.warn("event-log", { code: "host.event-log.missing", message });
    return;
  }
  await verdict.check(
    "event-log",
    () => requireStarted(measured, programs, uki),
    (started) => `replays to PCR 4 and 7; started ${started.join(", ")}`,
  );
}

/** @returns paths of what was started, in order */
function requireStarted(
  measured: MeasuredBoot,
  programs: readonly HostProgram[],
  uki: HostProgram | undefined,
): string[] {
  const { started } = replayMeasuredBoot(measured);
  const found = started.map((hex) => {
    // The boot loader is there twice; one of them is enough.
    const same = programs.filter(({ digestHex }) => digestHex === hex);
    const proved = same.find(({ evidence }) => !(evidence instanceof SealwrightError));
    if (proved !== undefined) return proved;
    const what = same[0] === undefined ? "a program that is not on the ESP" : `${same[0].path}, which does not verify`;
    const message = `firmware started ${what} (${hex.slice(0, 16)}...)`;
    throw new VerificationError("seal.event-log.programs", message, { data: { started } });
  });
  if (uki !== undefined && !found.some(({ digestHex }) => digestHex === uki.digestHex)) {
    const message = `firmware did not start ${uki.path} as it is now`;
    throw new VerificationError("seal.event-log.uki", message, { data: { started } });
  }
  return found.map(({ path }) => path);
}
