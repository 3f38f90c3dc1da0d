import type { RpmPackage } from "./header.ts";

type Version = Pick<RpmPackage, "epoch" | "release" | "version">;

/** `epoch:version-release`, without an epoch where there is none. */
export function showRpmVersion({ epoch, release, version }: Version): string {
  return `${epoch === undefined ? "" : `${epoch}:`}${version}${release === "" ? "" : `-${release}`}`;
}

/**
 * Orders two versions in the form of {@link showRpmVersion}: epoch (0 when absent), version, release.
 *
 * @returns below 0, 0 or above 0, as `Array.sort` takes it
 * @see rpm-version(7); rpm rpmio/rpmvercmp.c
 */
export function compareRpmVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  return (
    compareNumbers(left.epoch, right.epoch) ||
    comparePart(left.version, right.version) ||
    comparePart(left.release, right.release)
  );
}

function split(text: string) {
  const [, epoch = "", version = "", release = ""] = /^(?:(\d*):)?(.*?)(?:-([^-]*))?$/s.exec(text) ?? [];
  return { epoch, version, release };
}

/** Tilde and caret, a number, or letters; everything else only separates. */
const SEGMENT = /[~^]|[0-9]+|[A-Za-z]+/g;

function comparePart(a: string, b: string): number {
  const left = a.match(SEGMENT) ?? [];
  const right = b.match(SEGMENT) ?? [];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const order = compareSegments(left[index], right[index]);
    if (order !== 0) return order;
  }
  return 0;
}

/** A tilde comes before the end, the end before a caret, a caret before letters, letters before numbers. */
const RANKS = ["~", "", "^", "letters", "number"];

function rankOf(segment: string): number {
  if (/[0-9]/.test(segment)) return RANKS.indexOf("number");
  return /[A-Za-z]/.test(segment) ? RANKS.indexOf("letters") : RANKS.indexOf(segment);
}

function compareSegments(a = "", b = ""): number {
  const rank = rankOf(a);
  if (rank !== rankOf(b)) return rank - rankOf(b);
  return rank === RANKS.indexOf("number") ? compareNumbers(a, b) : compareText(a, b);
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** By value, of any length. */
function compareNumbers(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return left.length - right.length || compareText(left, right);
}
