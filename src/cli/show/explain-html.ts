import type { ExplainReport } from "../../actions/explain/explain-difference.ts";
import type { AgainstReport } from "../../actions/explain/find-variant.ts";
import type { Cause, Example, LayerName } from "../../actions/explain/findings.ts";
import type { SideReport } from "../../actions/explain/side.ts";
import { html } from "../html/html.ts";
import { badge, factTable, renderPage, table } from "../html/page.ts";
import { conclusion, describeSide, oneLine, triedText, undeclaredNote } from "./explain.ts";

export function explanationPage(report: ExplainReport): string {
  return renderPage({
    title: report.equal ? "One digest" : "Why two digests differ",
    verdict: { tone: report.equal ? "good" : "bad", text: conclusion(report) },
    body: [renderSide("A", report.a), renderSide("B", report.b), ...report.causes.map(renderCause)],
  });
}

function renderSide(name: string, side: SideReport) {
  const note = undeclaredNote(side);
  return html`<section>
<h2>${name} <code>${side.reference}</code></h2>
${factTable([
  ["what", describeSide(side)],
  ["manifest", side.manifestDigest && html`<code>${side.manifestDigest}</code>`],
  ["format", side.format],
  ["digest", html`<code>${side.digest}</code>`],
])}
${note !== undefined && html`<p>${badge("warn", "note")} ${note}</p>`}
</section>`;
}

function renderCause({ advice, code, count, examples, subject, title }: Cause) {
  const hidden = count - examples.length;
  return html`<section>
<h2>${title} ${badge("warn", count)}</h2>
<p class="faint"><code>${code}</code>${subject !== undefined && html` <code>${subject}</code>`}</p>
<p><strong>What to do:</strong> ${advice}.</p>
${table(["path", "what", "A", "B", "brought by"], examples.map(exampleRow))}
${hidden > 0 && html`<p class="faint">and ${hidden} more</p>`}
</section>`;
}

function exampleRow({ a, b, field, layers, note, path }: Example) {
  return [
    html`<code>${path}</code>${note !== undefined && html`<br/><span class="faint">${note}</span>`}`,
    field,
    a === undefined ? html`<span class="faint">none</span>` : html`<code>${a}</code>`,
    b === undefined ? html`<span class="faint">none</span>` : html`<code>${b}</code>`,
    [renderLayer("A", layers?.a), renderLayer("B", layers?.b)],
  ];
}

function renderLayer(side: string, layer: LayerName | undefined) {
  if (layer === undefined) return undefined;
  return html`<details><summary>${side}: layer ${layer.index}</summary><code class="faint">${layer.digest}</code></details>
${layer.createdBy !== undefined && html`<span class="faint">${oneLine(layer.createdBy)}</span>`}`;
}

export function variantPage(report: AgainstReport): string {
  const { advice, embeddedDump, found, switches } = report;
  return renderPage({
    title: "Where a digest comes from",
    verdict:
      found === undefined
        ? { tone: "bad", text: `no known variant gives this digest; ${triedText(report)}` }
        : { tone: "good", text: `found: ${found.name}` },
    body: [
      html`<section><h2><code>${report.reference}</code></h2>
${factTable([
  ["manifest", report.manifestDigest && html`<code>${report.manifestDigest}</code>`],
  ["searched for", html`<code>${report.against}</code>`],
  ["dump inside", embeddedDump && `${embeddedDump.path} has this digest, as ${embeddedDump.format}`],
])}</section>`,
      found &&
        html`<section><h2>Found</h2>
${factTable([["format", found.format], ...found.options.map(({ meaning, switch: name }) => [name, meaning] as const)])}
<h3>Computed by</h3><ul>${found.tools.map((tool) => html`<li>${tool}</li>`)}</ul></section>`,
      advice.length > 0 &&
        html`<section><h2>What to do</h2><ul>${advice.map((one) => html`<li>${one}</li>`)}</ul></section>`,
      html`<section><h2>Tried</h2>${table(
        ["switch", "options"],
        switches.map(({ options, title }) => [title, options.join(", ")]),
      )}</section>`,
    ],
  });
}
