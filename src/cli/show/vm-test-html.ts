/** A test of a seal as one HTML file. */
import type { TestReport, TimedCheck } from "../../actions/machine/test-machine.ts";
import { type Filling, html } from "../html/html.ts";
import { badge, factTable, renderPage, type Tone, table } from "../html/page.ts";

const MARKS: Readonly<Record<TimedCheck["status"], readonly [tone: Tone, word: string]>> = {
  holds: ["good", "holds"],
  broken: ["bad", "broken"],
  "not-tried": ["plain", "not tried"],
};

export function renderTest({ accelerator, checks, digest, disk, holds, tampering }: TestReport): string {
  const wrong = [...checks, ...tampering].filter(({ status }) => status === "broken").length;
  const tried = tampering.filter(({ status }) => status !== "not-tried").length;
  return renderPage({
    title: `The seal of ${disk}`,
    verdict: holds
      ? {
          tone: "good",
          text: `The seal holds${tried === 0 ? "" : `, and none of ${tried} changes got through`}.`,
        }
      : { tone: "bad", text: `The seal does not hold: ${wrong} of ${checks.length + tried} checks are broken.` },
    body: html`<section>${factTable([
      ["disk", disk],
      ["digest", html`<code>${digest}</code>`],
      ["machine", accelerator],
    ])}</section>
<section><h2>From inside the running system</h2>${list(checks)}</section>
${
  tampering.length > 0 &&
  html`<section><h2>Changed on a copy</h2>
<p class="faint">Each copy has one change, and was booted by itself.</p>${list(tampering)}</section>`
}`,
  });
}

const list = (checks: readonly TimedCheck[]): Filling =>
  table(
    ["", "what", "what was found", "seconds"],
    checks.map(({ code, detail, name, seconds, status, title }) => [
      badge(...MARKS[status]),
      html`${title}<br/><code class="faint">${name}</code>`,
      html`${detail}${code !== undefined && html`<br/><code>${code}</code>`}`,
      seconds,
    ]),
  );
