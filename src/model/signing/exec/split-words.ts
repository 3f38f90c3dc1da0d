const WORD_PART = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|[^\s'"\\]+/gsy;

/**
 * Splits text into words as a shell does: blanks separate, single and double quotes and backslashes protect. Nothing is
 * expanded.
 *
 * @returns nothing when a quote is left open
 */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  for (const match of text.matchAll(WORD_PART)) {
    const [all, single, double, escaped] = match;
    at = match.index + all.length;
    if (/^\s/.test(all)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + (single ?? double?.replaceAll(/\\(["\\$`])/g, "$1") ?? escaped ?? all);
    }
  }
  if (word !== undefined) words.push(word);
  return at === text.length ? words : undefined;
}
