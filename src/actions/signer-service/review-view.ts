/** A review as approvers see it: complete in what gives rights, cut where it is long. */
import type { LintView, ReviewView } from "../../model/signing-service/index.ts";
import type { DiffReport } from "../diff/report.ts";
import { diffSections, MARKS, type Row } from "../diff/sections.ts";
import type { Review } from "../sign-request/review.ts";

/** Rows of one section; with more, nobody reads them on a page. The report of `sealwright diff` has all. */
const MAX_ROWS = 400;

/** Paths of one finding. */
const MAX_PATHS = 50;

/** The rule that can only hold later: approvals come after the review. */
export const APPROVALS_RULE = "approvals";

/** @param linted whether the policy wants to know */
export function toReviewView(review: Review, now: Date, linted: boolean): ReviewView {
  const { diff, diffProblem, last, lint, name, rules } = review;
  return {
    reviewedAt: now.toISOString(),
    verdicts: rules.filter(({ rule }) => rule !== APPROVALS_RULE),
    lint: linted ? lint.map(toLintView) : null,
    diff:
      last === null
        ? null
        : {
            before: last.manifestDigest,
            beforeName: last.version === undefined ? name : `${name}, version ${last.version}`,
            sections: diff === null ? [] : [...diffSections(diff), filesSection(diff)].map(cut),
            ...(diffProblem === undefined ? {} : { problem: diffProblem }),
          },
  };
}

const toLintView = ({ code, level, message, name, paths = [] }: Review["lint"][number]): LintView => ({
  level,
  name,
  code,
  message,
  ...(paths.length === 0 ? {} : { paths: paths.slice(0, MAX_PATHS) }),
});

function filesSection({ files }: DiffReport) {
  const rows = files.changes.map(
    ({ aspects, change, path }): Row => ({ mark: MARKS[change], cells: [path, aspects.join(", ")] }),
  );
  const counts = [
    [files.added, "added"],
    [files.removed, "removed"],
    [files.changed, "changed"],
    [files.timesOnly, "with another time only"],
  ] as const;
  const summary = counts.flatMap(([count, word]) => (count === 0 ? [] : [`${count} ${word}`])).join(", ");
  return { title: "files", summary, rows };
}

function cut({
  rows,
  summary,
  title,
}: {
  readonly title: string;
  readonly summary: string;
  readonly rows: readonly Row[];
}) {
  return { title, summary, rows: rows.slice(0, MAX_ROWS), omitted: Math.max(0, rows.length - MAX_ROWS) };
}
