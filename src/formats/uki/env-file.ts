/**
 * Reads `KEY=value` lines, as os-release and `.profile` have them. Values may be in single or double quotes, with a
 * backslash before a character that would end or change them. Comments, and lines that are no assignment, say nothing.
 *
 * @returns keys in the order of the file; the last assignment of a key counts
 * @see os-release(5)
 */
export function parseEnvFile(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split(/\r\n|\n|\r/)) {
    const [, key, value] = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) values.set(key, unquoteShellWord(value.trim()));
  }
  return values;
}

function unquoteShellWord(text: string): string {
  let out = "";
  let quoted: "'" | '"' | undefined;
  for (let at = 0; at < text.length; at++) {
    const unit = text[at] as string;
    const next = text[at + 1];
    if (quoted === undefined && (unit === "'" || unit === '"')) quoted = unit;
    else if (unit === quoted) quoted = undefined;
    else if (
      unit === "\\" &&
      next !== undefined &&
      quoted !== "'" &&
      (quoted === undefined || '"$`\\'.includes(next))
    ) {
      out += next;
      at += 1;
    } else out += unit;
  }
  return out;
}
