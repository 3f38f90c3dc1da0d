import type { TestReport, TimedCheck } from "../../actions/machine/test-machine.ts";
import type { Shown } from "../perform.ts";

/** The family of a failed verification. */
const EXIT_BROKEN = 80;

/** One line a check; a broken one is followed by its cause. */
export function showTest(report: TestReport): Shown {
  const { accelerator, checks, disk, holds, tampering } = report;
  const lines = [
    `${disk}: ${accelerator}`,
    "",
    ...checks.flatMap((check) => showCheck(check, check.title, check.detail)),
    ...(tampering.length === 0 ? [] : ["", "changed on a copy:"]),
    ...tampering.flatMap((check) => showCheck(check, check.name, `${check.title}: ${check.detail}`)),
    "",
    holds ? `${disk}: the seal holds` : `${disk}: the seal does NOT hold`,
  ];
  return { text: lines.join("\n"), json: report, exitCode: holds ? 0 : EXIT_BROKEN };
}

const MARKS = { holds: "ok  ", broken: "FAIL", "not-tried": "--  " } as const;

function showCheck({ code, status }: TimedCheck, what: string, detail: string): string[] {
  const line = `${MARKS[status]}  ${what.padEnd(20)} ${detail}`;
  return code === undefined ? [line] : [line, `${" ".repeat(27)}cause: ${code}`];
}

/** The report in the form that CI systems read. */
export function junit({ checks, disk, tampering }: TestReport): string {
  const suites = [
    ["seal", checks],
    ["tamper", tampering],
  ] as const;
  const body = suites
    .filter(([, cases]) => cases.length > 0)
    .map(([name, cases]) => suite(`${disk}: ${name}`, name, cases));
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${body.join("")}</testsuites>\n`;
}

function suite(name: string, className: string, cases: readonly TimedCheck[]): string {
  const failures = cases.filter(({ status }) => status === "broken").length;
  const lines = cases.map((each) => {
    const head = `    <testcase classname="${className}" name="${escapeXml(each.name)}" time="${each.seconds ?? 0}"`;
    if (each.status === "holds") return `${head}/>\n`;
    if (each.status === "not-tried")
      return `${head}>\n      <skipped message="${escapeXml(each.detail)}"/>\n    </testcase>\n`;
    const failure = `      <failure type="${escapeXml(each.code ?? "")}" message="${escapeXml(each.detail)}"/>`;
    return `${head}>\n${failure}\n    </testcase>\n`;
  });
  return `  <testsuite name="${escapeXml(name)}" tests="${cases.length}" failures="${failures}">\n${lines.join("")}  </testsuite>\n`;
}

/** For attributes; what XML 1.0 cannot hold at all is left out. */
function escapeXml(text: string): string {
  return text
    .replaceAll(/[^\P{Cc}\n\t]/gu, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll('"', "&quot;")
    .replaceAll("\n", "&#10;");
}
