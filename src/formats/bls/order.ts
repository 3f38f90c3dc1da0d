import type { MenuItem } from "./entry.ts";
import { compareText, compareVersions } from "./version.ts";

/**
 * Orders entries as systemd-boot lists them: what has no tries left comes last, what has a sort key before what has none,
 * new before old.
 *
 * @see UAPI.1, "Sorting"; systemd src/boot/boot.c, `boot_entry_compare()`
 */
export function compareMenuItems(a: MenuItem, b: MenuItem): number {
  return (
    Number(a.triesLeft === 0) - Number(b.triesLeft === 0) ||
    Number(!a.sortKey) - Number(!b.sortKey) ||
    (a.sortKey && b.sortKey ? compareSortKeys(a, b) : 0) ||
    compareVersions(b.id, a.id) ||
    compareTries(a, b)
  );
}

function compareSortKeys(a: MenuItem, b: MenuItem): number {
  return (
    compareText(a.sortKey ?? "", b.sortKey ?? "") ||
    compareText(a.machineId ?? "", b.machineId ?? "") ||
    compareVersions(b.version ?? "", a.version ?? "")
  );
}

function compareTries(a: MenuItem, b: MenuItem): number {
  if (a.triesLeft === undefined || b.triesLeft === undefined) return 0;
  return b.triesLeft - a.triesLeft || (a.triesDone ?? 0) - (b.triesDone ?? 0);
}

/**
 * The entry that starts when nobody chooses: the first that `default` of loader.conf fits, else the first of the list.
 *
 * What firmware variables say (`bootctl set-default`, `set-oneshot`) comes before that.
 */
export function findDefault<T extends MenuItem>(sorted: readonly T[], pattern: string | undefined): T | undefined {
  const named = pattern === undefined ? undefined : sorted.find(({ id }) => matchesGlob(id, pattern.toLowerCase()));
  return named ?? sorted.find(({ triesLeft }) => triesLeft !== 0) ?? sorted[0];
}

/** `*` and `?`, in time that grows with the product of the lengths at most. */
function matchesGlob(text: string, pattern: string): boolean {
  let at = 0;
  let place = 0;
  let star: { readonly place: number; at: number } | undefined;
  while (at < text.length) {
    if (pattern[place] === "*") star = { place: place++, at };
    else if (place < pattern.length && (pattern[place] === "?" || pattern[place] === text[at])) {
      at++;
      place++;
    } else if (star === undefined) return false;
    else {
      star.at++;
      at = star.at;
      place = star.place + 1;
    }
  }
  return /^\**$/.test(pattern.slice(place));
}
