import { FormatError, quote } from "../../lib/errors.ts";

/** A glob as a function on whole texts. */
export type Glob = (text: string) => boolean;

/**
 * Reads a glob: `*` stands for any characters but `/`, `**` for any characters; everything else for itself.
 *
 * @throws {FormatError} `policy.glob`
 */
export function parseGlob(glob: string, what = "policy"): Glob {
  if (glob.includes("***")) {
    const expected = "one star or two together";
    throw new FormatError("policy.glob", { what: `${what}: glob`, expected, found: quote(glob) });
  }
  const parts = glob.split(/(\*\*|\*)/).filter((part) => part !== "");
  return (text) => {
    // Every place where the rest of the text may start, part after part: no glob takes longer than its length times the text's.
    let starts: ReadonlySet<number> = new Set([0]);
    for (const part of parts)
      starts = part.startsWith("*") ? behindStar(text, starts, part) : behind(text, starts, part);
    return starts.has(text.length);
  };
}

function behind(text: string, starts: ReadonlySet<number>, part: string): Set<number> {
  return new Set([...starts].filter((at) => text.startsWith(part, at)).map((at) => at + part.length));
}

function behindStar(text: string, starts: ReadonlySet<number>, star: string): Set<number> {
  const reached = new Set<number>();
  for (let at = 0, open = false; at <= text.length; at++) {
    open = (open && !(star === "*" && text[at - 1] === "/")) || starts.has(at);
    if (open) reached.add(at);
  }
  return reached;
}
