import { readFile } from "node:fs/promises";
import { CommandError, type SealwrightError, VerificationError } from "../../lib/errors.ts";
import { type Diagnosis, tailOf } from "../../model/machine/diagnose.ts";

/** QEMU ended before the guest did anything. */
export async function explainEnd(qemuLog: string): Promise<CommandError> {
  const said = tailOf(await readFile(qemuLog, "utf8").catch(() => ""), 4);
  const hint = said.includes('"write" lock')
    ? { hint: "the disk is in use: add --snapshot, or stop the other machine" }
    : {};
  return new CommandError("machine.qemu-ended", `QEMU ended at once: ${said === "" ? "it said nothing" : said}`, hint);
}

/** A boot that was refused, in the guest's own words. */
export function toError({ code, evidence, message }: Diagnosis): SealwrightError {
  return new VerificationError(code, `${message}: ${evidence}`, { data: { evidence } });
}
