/**
 * Orders two versions as dpkg does: epoch, upstream version, Debian revision.
 *
 * Any text has a place in the order; nothing is refused.
 *
 * @returns below 0, 0 or above 0, as `Array.sort` takes it
 * @see Debian Policy Manual 4.7, section 5.6.12
 */
export function compareDpkgVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  return (
    compareDigits(left.epoch, right.epoch) ||
    comparePart(left.upstream, right.upstream) ||
    comparePart(left.revision, right.revision)
  );
}

/** The epoch ends at the first colon, the revision starts behind the last hyphen. */
function split(version: string) {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const hyphen = rest.lastIndexOf("-");
  const [upstream, revision] = hyphen === -1 ? [rest, ""] : [rest.slice(0, hyphen), rest.slice(hyphen + 1)];
  return { epoch: version.slice(0, Math.max(0, colon)), upstream, revision };
}

/** Turns of a stretch without digits and a number, either of which may be empty. */
const STRETCH = /([^0-9]*)([0-9]*)/gy;

function comparePart(a: string, b: string): number {
  const left = [...a.matchAll(STRETCH)];
  const right = [...b.matchAll(STRETCH)];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [, textA = "", numberA = ""] = left[index] ?? [];
    const [, textB = "", numberB = ""] = right[index] ?? [];
    const order = compareText(textA, textB) || compareDigits(numberA, numberB);
    if (order !== 0) return order;
  }
  return 0;
}

function compareText(a: string, b: string): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const order = weight(a, index) - weight(b, index);
    if (order !== 0) return order;
  }
  return 0;
}

/** Tilde before the end, the end before letters, letters before everything else. */
function weight(text: string, index: number): number {
  const character = text[index];
  if (character === undefined) return 0;
  if (character === "~") return -1;
  const isLetter = /[A-Za-z]/.test(character);
  return text.charCodeAt(index) + (isLetter ? 0 : 0x10000);
}

/** By value, of any length. */
function compareDigits(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
