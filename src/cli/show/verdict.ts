import { LINKS, type Link, type Verdict } from "../../actions/verify/verdict.ts";
import type { Shown } from "../perform.ts";

const MARKS = { holds: "ok  ", broken: "FAIL", warning: "warn", "not-reached": "--  " } as const;

/** One line a link; a broken one is followed by its cause and what to do. */
export function showVerdict(verdict: Verdict): Shown {
  const lines = verdict.links.flatMap(showLink);
  const end = verdict.holds ? `${verdict.image}: every link holds` : `${verdict.image}: NOT verified`;
  return { text: [...lines, "", end].join("\n"), json: verdict, exitCode: verdict.exitCode };
}

function showLink(link: Link): string[] {
  const title = LINKS[link.name].padEnd(14);
  const lines = [`${MARKS[link.status]}  ${title} ${link.detail}`];
  if (link.code !== undefined) lines.push(`${" ".repeat(21)}cause: ${link.code}`);
  if (link.hint !== undefined) lines.push(`${" ".repeat(21)}hint: ${link.hint}`);
  return lines;
}
