import { type Filling, html } from "./html.ts";

export interface Page {
  readonly title: string;
  /** The outcome in a sentence, under the title; its tone colours it. */
  readonly verdict?: { readonly tone: Tone; readonly text: Filling };
  readonly body: Filling;
}

/** Also classes of {@link badge} and of table rows. */
export type Tone = "good" | "bad" | "warn" | "plain";

/**
 * A report in one file: no script, and nothing is fetched, which the page itself forbids to the browser.
 * Follows the reader's light or dark setting, fits narrow windows, prints.
 */
export function renderPage({ body, title, verdict }: Page): string {
  const page = html`<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>${title}</h1>
${verdict && html`<p class="verdict ${verdict.tone}">${verdict.text}</p>`}</header>
<main>
${body}
</main>
<footer>Sealwright</footer>
</body>
</html>
`;
  return `<!DOCTYPE html>\n${page.markup}`;
}

/** A short word on a coloured ground. */
export function badge(tone: Tone, text: Filling) {
  return html`<span class="badge ${tone}">${text}</span>`;
}

/** Rows of facts: a name and what it is. Rows without value are left out. */
export function factTable(rows: readonly (readonly [name: string, value: Filling])[]) {
  const filled = rows.filter(([, value]) => value !== undefined && value !== false);
  return html`<dl>${filled.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** A table that scrolls by itself where the window is narrower. */
export function table(head: readonly string[], rows: readonly (readonly Filling[])[]) {
  return html`<div class="wide"><table>
<thead><tr>${head.map((cell) => html`<th>${cell}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>`;
}

/** None of its characters needs escaping. */
const STYLE = `
:root { --ground: #fbfaf8; --paper: #fff; --ink: #1d2127; --faint: #626a75; --line: #dcdee2;
  --good: #11693a; --good-ground: #e0f3e7; --bad: #9c1c24; --bad-ground: #fbe5e5;
  --warn: #7a4d00; --warn-ground: #fbefd5; --plain: #3d4652; --plain-ground: #eceef1; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15181c; --paper: #1d2126; --ink: #e5e7ea; --faint: #98a1ac; --line: #343a42;
    --good: #7fd8a2; --good-ground: #16321f; --bad: #ff9a9f; --bad-ground: #3d1a1d;
    --warn: #f0c674; --warn-ground: #37290d; --plain: #c3cad3; --plain-ground: #2b3138; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 3rem; max-width: 72rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .75rem; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.25rem 0 .5rem; font-size: 1.15rem; overflow-wrap: anywhere; }
h3 { margin: 1.25rem 0 .35rem; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: .4rem 0 .8rem; max-width: 65ch; }
a { color: inherit; }
code, pre { font: .875em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .75rem 1rem; background: var(--plain-ground); border-radius: .4rem; }
.verdict { max-width: none; padding: .7rem 1rem; border-radius: .4rem; border-left: .3rem solid; font-weight: 600; }
.badge { display: inline-block; padding: 0 .5em; border-radius: 1em; font-size: .8rem; font-weight: 600; white-space: nowrap; }
.good { color: var(--good); background: var(--good-ground); }
.bad { color: var(--bad); background: var(--bad-ground); }
.warn { color: var(--warn); background: var(--warn-ground); }
.plain { color: var(--plain); background: var(--plain-ground); }
.faint { color: var(--faint); }
section { margin: 1rem 0; padding: .25rem 1.25rem 1rem; background: var(--paper); border: 1px solid var(--line); border-radius: .5rem; }
section h2 { margin-top: 1rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1.25rem; margin: .75rem 0; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .925rem; }
th { color: var(--faint); font-weight: 500; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td { min-width: 6rem; overflow-wrap: anywhere; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
summary { cursor: pointer; white-space: nowrap; }
footer { margin-top: 2.5rem; color: var(--faint); font-size: .85rem; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@media print { body { max-width: none; } section { break-inside: avoid; } }
`;
