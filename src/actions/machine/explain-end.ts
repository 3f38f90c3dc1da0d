import { readFile } from "node:fs/promises";
import { CommandError, type SealwrightError, VerificationError } from "../../lib/errors.ts";
import { type Diagnosis, tailOf } from "../../model/machine/diagnose.ts";

/** QEMU ended before the guest did anything. */
export async function explainEnd(qemuLog: string): Promise<CommandError> {
  const said = tailOf(await readFile(qemuLog, "utf8").catch(() => ""), 4);
  const hint = HINTS.find(({ sign }) => said.includes(sign))?.hint;
  const message = `QEMU ended at once: ${said === "" ? "it said nothing" : said}`;
  return new CommandError("machine.qemu-ended", message, hint === undefined ? {} : { hint });
}

/** What QEMU's last words mean. */
const HINTS = [
  { sign: '"write" lock', hint: "the disk is in use: add --snapshot, or stop the other machine" },
  { sign: "Could not set up host forwarding rule", hint: "the port is in use, or you may not use it: choose another" },
] as const;

/** A boot that was refused, in the guest's own words. */
export function toError({ code, evidence, message }: Diagnosis): SealwrightError {
  return new VerificationError(code, `${message}: ${evidence}`, { data: { evidence } });
}
