import type { ChainVerdict, Link, LinkTitles } from "../../model/verdict/verdict.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

const MARKS = { holds: "ok  ", broken: "FAIL", warning: "warn", "not-reached": "--  " } as const;

/**
 * One line a link; a broken one is followed by its cause and what to do.
 *
 * @param subject what was verified
 */
export function showVerdict<Name extends string>(
  verdict: ChainVerdict<Name>,
  subject: string,
  titles: LinkTitles<Name>,
): Shown {
  const width = Math.max(...Object.values<string>(titles).map((title) => title.length)) + 1;
  const lines = verdict.links.flatMap((link) => showLink(link, titles[link.name].padEnd(width)));
  const end = verdict.holds ? `${subject}: every link holds` : `${subject}: NOT verified`;
  return { text: [...lines, "", end].map(printable).join("\n"), json: verdict, exitCode: verdict.exitCode };
}

function showLink(link: Link, title: string): string[] {
  const lines = [`${MARKS[link.status]}  ${title} ${link.detail}`];
  const indent = " ".repeat(title.length + 7);
  if (link.code !== undefined) lines.push(`${indent}cause: ${link.code}`);
  if (link.hint !== undefined) lines.push(`${indent}hint: ${link.hint}`);
  return lines;
}
