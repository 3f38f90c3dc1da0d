import type { RotationPlan } from "../../actions/keys/rotation.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

const day = (time: string): string => time.slice(0, 10);

/** What there is to do, in order, each with its date, file and command. */
export function showRotationPlan(plan: RotationPlan): Shown {
  const lines = [
    ...plan.warnings.map(({ code, message }) => `warning: ${printable(message)} [${code}]`),
    `${plan.key} of ${plan.directory}`,
    `  old  ${printable(plan.old.subject)}  until ${day(plan.old.notAfter)}  sha256 ${plan.old.fingerprint}`,
    `  new  ${printable(plan.new.subject)}  until ${day(plan.new.notAfter)}  sha256 ${plan.new.fingerprint}`,
    plan.retired === undefined
      ? `both are in use from ${day(plan.started)} until ${day(plan.retireAfter)} at least`
      : `the old one is out of use since ${day(plan.retired)}`,
    ...(plan.step === undefined ? [] : [`what was replaced is in ${plan.directory}/${plan.step}/before`]),
  ];
  for (const { commands, done, file, from, number, until, what, why } of plan.steps) {
    const when = until === undefined || until === from ? `from ${from}` : `${from} to ${until}`;
    lines.push("", `${done ? "done" : `${number}.  `} ${when}: ${printable(what)}`);
    if (why !== undefined) lines.push(`     ${printable(why)}`);
    if (file !== undefined) lines.push(`     file  ${plan.directory}/${file}`);
    lines.push(...commands.map((command) => `     $ ${printable(command)}`));
  }
  return { text: lines.join("\n"), json: plan };
}
