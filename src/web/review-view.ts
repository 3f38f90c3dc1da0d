/** What the service found: verdicts of the policy, lint, and the difference to what was signed before. */
import type { DiffRowView, DiffSectionView, DiffView, LintView, VerdictView } from "../model/signing-service/api.ts";
import { badge, type Child, code, element, section } from "./element.ts";

export function verdictsView(verdicts: readonly VerdictView[]): HTMLElement {
  return section(
    "Policy",
    element(
      "ul.checks",
      {},
      verdicts.map((verdict) =>
        element(
          "li",
          {},
          badge(verdict.holds ? "good" : "bad", verdict.holds ? "holds" : "broken"),
          element(
            "div",
            {},
            element("strong", {}, verdict.rule),
            ": ",
            verdict.detail,
            verdict.code !== undefined && [" ", code(verdict.code)],
          ),
        ),
      ),
    ),
  );
}

export function lintView(findings: readonly LintView[] | null): HTMLElement {
  if (findings === null) return section("Lint", element("p.faint", {}, "The policy does not ask for it."));
  if (findings.length === 0)
    return section("Lint", element("p", {}, badge("good", "clean"), " Nothing to find fault with."));
  return section(
    "Lint",
    element(
      "ul.checks",
      {},
      findings.map(({ code: cause, level, message, name, paths = [] }) =>
        element(
          "li",
          {},
          badge(level === "fatal" ? "bad" : "warn", level),
          element(
            "div",
            {},
            element("strong", {}, name),
            ": ",
            message,
            " ",
            code(cause),
            paths.length > 0 &&
              element(
                "ul",
                {},
                paths.map((path) => element("li", {}, code(path))),
              ),
          ),
        ),
      ),
    ),
  );
}

/** Sections that are open from the start: what gives rights or runs by itself, when there is little of it. */
const OPEN_ROWS = 12;

export function diffView(diff: DiffView | null): HTMLElement {
  if (diff === null) {
    return section(
      "Changes",
      element("p", {}, "No image of this name was signed before: there is nothing to compare with."),
    );
  }
  const changed = diff.sections.filter(({ rows, omitted }) => rows.length + omitted > 0);
  const quiet = diff.sections.filter((each) => !changed.includes(each));
  return section(
    "Changes",
    element("p.faint", {}, "Since ", diff.beforeName !== undefined && [diff.beforeName, ", "], code(diff.before)),
    diff.problem !== undefined &&
      element(
        "div.notice.warn",
        {},
        element("p", {}, "They cannot be compared: ", diff.problem.message, " ", code(diff.problem.code)),
      ),
    diff.problem === undefined && changed.length === 0 && element("p", {}, "The trees are the same."),
    changed.map(diffSection),
    quiet.length > 0 && element("p.faint", {}, "Unchanged: ", quiet.map(({ title }) => title).join(", "), "."),
  );
}

function diffSection({ omitted, rows, summary, title }: DiffSectionView): HTMLElement {
  return element(
    "details",
    { open: rows.length <= OPEN_ROWS },
    element("summary", {}, element("strong", {}, title), " ", element("span.summary", {}, summary)),
    element("div.wide", {}, element("table.diff", {}, element("tbody", {}, rows.map(diffRow)))),
    omitted > 0 && element("p.faint", {}, `and ${omitted} more`),
  );
}

const CHANGES: Readonly<Record<DiffRowView["mark"], string>> = { "+": "added", "-": "removed", "~": "changed" };

function diffRow({ cells, mark }: DiffRowView): Child {
  const change = CHANGES[mark];
  return element(
    "tr",
    {},
    element(
      `td.mark.${change}`,
      {},
      element("span", { "aria-hidden": "true" }, mark),
      element("span.visually-hidden", {}, change),
    ),
    cells.map((cell) => element("td", {}, cell)),
  );
}
