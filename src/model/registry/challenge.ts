/** `WWW-Authenticate`: what a server wants to see before it answers (RFC 9110, 11.6.1). */

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Safety limit: real headers have one challenge or two. */
const MAX_HEADER_SIZE = 16 * 1024;

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const PARAMETER = new RegExp(String.raw`^(${TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|(${TOKEN}))`, "s");
const SCHEME = new RegExp(String.raw`^(${TOKEN})(?:\s+|\s*,|$)`);
/** What `Negotiate` and its like have in the place of parameters. */
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))/;

/**
 * Challenges are separated by the same comma as their parameters: a name with `=` behind it is a parameter, one
 * without it starts the next challenge. What cannot be read ends the list.
 */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let rest = header.slice(0, MAX_HEADER_SIZE).replace(/^[\s,]+/, "");
  while (rest !== "") {
    const parameter = PARAMETER.exec(rest);
    const current = challenges.at(-1);
    if (parameter !== null && current !== undefined) {
      const [matched, name = "", quoted, plain] = parameter;
      current.parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/gs, "$1") ?? plain ?? "");
      rest = afterComma(rest.slice(matched.length));
      continue;
    }
    const [matched, scheme] = SCHEME.exec(rest) ?? [];
    if (matched === undefined || scheme === undefined) break;
    challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
    rest = rest.slice(scheme.length).trimStart();
    const [opaque = ""] = PARAMETER.test(rest) ? [] : (TOKEN68.exec(rest) ?? []);
    rest = afterComma(matched.endsWith(",") ? rest : rest.slice(opaque.length));
  }
  return challenges;
}

const afterComma = (text: string): string => text.replace(/^[\s,]+/, "");
