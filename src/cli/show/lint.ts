import type { Finding, Lint } from "../../actions/lint/lint.ts";
import type { LintFinding, LintReport } from "../../actions/lint/lint-image.ts";
import type { Shown } from "../perform.ts";

const EXIT_FAILED = 1;

/** Paths that are shown of a finding unless all are asked for. */
const SHOWN_PATHS = 5;

/** The lines that bootc prints, in its order. */
export function showLint(report: LintReport, noTruncate: boolean): Shown {
  const { failed, findings, passed, skipped, warnings } = report;
  const lines = findings.map((finding) => showFinding(finding, noTruncate));
  lines.push(`Checks passed: ${passed}`);
  if (skipped > 0) lines.push(`Checks skipped: ${skipped}`);
  if (warnings > 0) lines.push(`Warnings: ${warnings}`);
  if (failed > 0) lines.push(`error: Checks failed: ${failed}`);
  return { text: lines.join("\n"), json: report, exitCode: failed > 0 ? EXIT_FAILED : 0 };
}

function showFinding({ level, name, ...finding }: LintFinding, noTruncate: boolean): string {
  return `${level === "fatal" ? "Failed lint" : "Lint warning"}: ${name}: ${showMessage(finding, noTruncate)}`;
}

function showMessage({ message, paths = [] }: Finding, noTruncate: boolean): string {
  if (paths.every((path) => message.includes(path))) return message;
  const shown = noTruncate ? paths : paths.slice(0, SHOWN_PATHS);
  const more = paths.length > shown.length ? [`...and ${paths.length - shown.length} more`] : [];
  return [`${message}:`, ...[...shown, ...more].map((line) => `  ${line}`)].join("\n");
}

/** The YAML of `bootc container lint --list`. */
export function showLints(lints: readonly Lint[]): Shown {
  const text = lints.map(({ description, level, name, rootType }) => {
    const root = rootType === undefined ? [] : [`  root_type: ${rootType}`];
    return [`- name: ${name}`, `  type: ${level}`, `  description: ${quoteYaml(description)}`, ...root].join("\n");
  });
  const json = lints.map(({ description, level: type, name, rootType: root_type }) => ({
    name,
    type,
    description,
    ...(root_type === undefined ? {} : { root_type }),
  }));
  return { text: text.join("\n"), json };
}

/** A JSON string is a YAML scalar. */
const quoteYaml = (text: string): string => JSON.stringify(text);
