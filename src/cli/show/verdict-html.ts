/** A verdict as one HTML file. */
import type { ChainVerdict, Link, LinkTitles } from "../../model/verdict/verdict.ts";
import { type Filling, html } from "../html/html.ts";
import { badge, renderPage, type Tone, table } from "../html/page.ts";

const MARKS: Readonly<Record<Link["status"], readonly [tone: Tone, word: string]>> = {
  holds: ["good", "holds"],
  broken: ["bad", "broken"],
  warning: ["warn", "warning"],
  "not-reached": ["plain", "not reached"],
};

/** @param subject what was verified */
export function renderVerdict<Name extends string>(
  { holds, links }: ChainVerdict<Name>,
  subject: string,
  titles: LinkTitles<Name>,
): string {
  const rows = links.map((link): Filling[] => [badge(...MARKS[link.status]), titles[link.name], detailOf(link)]);
  return renderPage({
    title: `Verdict on ${subject}`,
    verdict: holds ? { tone: "good", text: "Every link holds." } : { tone: "bad", text: "Not verified." },
    body: html`<section><h2>The chain, link by link</h2>${table(["", "link", "what was found"], rows)}</section>`,
  });
}

const detailOf = ({ code, detail, hint }: Link): Filling =>
  html`${detail}${code !== undefined && html`<br/><code>${code}</code>`}${hint !== undefined && html`<br/><span class="faint">${hint}</span>`}`;
