/**
 * Compares two versions as systemd-boot orders entries by them.
 *
 * @returns below 0 when `a` is older
 * @see UAPI.10 Version Format Specification, "Version Comparison"; systemd src/fundamental/string-util-fundamental.c,
 *   `strverscmp_improved()`, whose steps these are
 */
export function compareVersions(a: string, b: string): number {
  let [left, right] = [a, b];
  /** With the mark, a version is older than without; when both have it, it is passed over. */
  const compareMark = (mark: string): number => {
    const [mine, other] = [left.startsWith(mark), right.startsWith(mark)];
    if (mine && other) [left, right] = [left.slice(1), right.slice(1)];
    return Number(other) - Number(mine);
  };
  for (;;) {
    [left, right] = [dropOthers(left), dropOthers(right)];
    const tilde = compareMark("~");
    if (tilde !== 0) return tilde;
    if (left === "" || right === "") return Math.sign(left.length - right.length);
    const mark = compareMark("-") || compareMark("^") || compareMark(".");
    if (mark !== 0) return mark;

    const numeric = /^[0-9]/.test(left) || /^[0-9]/.test(right);
    const part = numeric ? /^[0-9]*/ : /^[A-Za-z]*/;
    const [mine, other] = [part.exec(left)?.[0] ?? "", part.exec(right)?.[0] ?? ""];
    const order = numeric ? compareNumbers(mine, other) : compareText(mine, other);
    if (order !== 0) return order;
    [left, right] = [left.slice(mine.length), right.slice(other.length)];
  }
}

/** Other characters separate parts and mean nothing. */
const dropOthers = (text: string): string => text.replace(/^[^0-9A-Za-z~^.-]+/, "");

/** A number is newer than none. */
function compareNumbers(a: string, b: string): number {
  if (a === "" || b === "") return a.length - b.length;
  const [mine, other] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return mine.length - other.length || compareText(mine, other);
}

/** By code units: capitals before small letters, shorter first on a common prefix. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
