/** A set of byte values: 256 flags. Members are looked at byte by byte while matching, so a flag is a whole byte. */
export type ByteSet = Uint8Array;

function byteSet(has: (byte: number) => boolean): ByteSet {
  return Uint8Array.from({ length: 256 }, (_, byte) => Number(has(byte)));
}

const within = (ranges: string) => (byte: number) => {
  for (let at = 0; at < ranges.length; at += 2) {
    if (byte >= ranges.charCodeAt(at) && byte <= ranges.charCodeAt(at + 1)) return true;
  }
  return false;
};

/** A set from pairs of first and last byte: `ranges("azAZ")` are the letters. */
export const ranges = (pairs: string): ByteSet => byteSet(within(pairs));

export const complement = (set: ByteSet): ByteSet => set.map((flag) => 1 - flag);

/** Adds the members of `other` to `set`. */
export function include(set: ByteSet, other: ByteSet): void {
  for (let byte = 0; byte < 256; byte++) if (other[byte] === 1) set[byte] = 1;
}

/** One set a byte, made once: most of a policy is literal text. */
const literals: readonly ByteSet[] = Array.from({ length: 256 }, (_, byte) => byteSet((other) => other === byte));

/** @param byte 0..255 */
export const literal = (byte: number): ByteSet => literals[byte] as ByteSet;

/** `.` of the Rust syntax with NUL as line terminator, and `.` of PCRE2. */
export const ALL_BUT_NUL = complement(literal(0));
export const ALL_BUT_NEWLINE = complement(literal(0x0a));

const digit = ranges("09");
const space = ranges("\t\r  ");
const word = ranges("09AZaz__");

export const isWordByte = (byte: number): boolean => word[byte] === 1;

/** `\d`, `\s`, `\w` and their complements, ASCII only. */
export const PERL_CLASSES: Readonly<Record<string, ByteSet>> = {
  d: digit,
  D: complement(digit),
  s: space,
  S: complement(space),
  w: word,
  W: complement(word),
};

/** POSIX 1003.1 section 9.3.5, in the C locale. `word` is the extension that both dialects have. */
export const POSIX_CLASSES: Readonly<Record<string, ByteSet>> = {
  alnum: ranges("09AZaz"),
  alpha: ranges("AZaz"),
  ascii: ranges("\x00\x7f"),
  blank: ranges("\t\t  "),
  cntrl: ranges("\x00\x1f\x7f\x7f"),
  digit,
  graph: ranges("!~"),
  lower: ranges("az"),
  print: ranges(" ~"),
  punct: ranges("!/:@[`{~"),
  space,
  upper: ranges("AZ"),
  word,
  xdigit: ranges("09AFaf"),
};
