import { FormatError, quote, UnsupportedError } from "../../lib/errors.ts";
import { type ByteSet, complement, include, literal, PERL_CLASSES, POSIX_CLASSES } from "./byte-set.ts";

/** What a pattern of file_contexts means, over bytes. Groups are gone: nothing is captured. */
export type Pattern =
  | { readonly kind: "byte"; readonly set: ByteSet }
  | { readonly kind: "dot" }
  | { readonly kind: "sequence"; readonly parts: readonly Pattern[] }
  | { readonly kind: "choice"; readonly options: readonly Pattern[] }
  | { readonly kind: "repeat"; readonly body: Pattern; readonly min: number; readonly max: number }
  | { readonly kind: "assert"; readonly what: Assertion }
  | { readonly kind: "look"; readonly wanted: boolean; readonly body: Pattern };

export type Assertion = "start" | "end" | "word" | "not-word";

export interface ParsedPattern {
  readonly pattern: Pattern;
  /** Has look-ahead: the reference reads the whole pattern with PCRE2 and not with the Rust syntax. */
  readonly look: boolean;
  /** Cannot be decided from the bytes read so far: look-ahead or word boundaries. */
  readonly contextual: boolean;
}

/** Nesting of groups. The same limit stands in both engines of the reference (`nest_limit`, `parens_nest_limit`). */
const MAX_NESTING = 250;

/** Largest number in `{n,m}`. A safety limit; reference policies stay below 100. */
const MAX_REPEAT = 1000;

/** Punctuation after a backslash stands for itself; letters and digits are commands, `<` and `>` are read both ways. */
const SELF = /^[!-/:;=?@[-`{-~]$/;

const ESCAPES: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

const ASSERTIONS: Readonly<Record<string, Assertion>> = { A: "start", z: "end", b: "word", B: "not-word" };

/**
 * Parses the regular expression of one file_contexts line.
 *
 * The dialect is what the Rust regex syntax (bytes, Unicode off) and PCRE2 (bytes) read alike, and look-ahead.
 * Whatever they read differently, and what a finite automaton cannot do, is refused.
 *
 * @param where file and line, for the message
 * @throws {FormatError} `selinux.pattern.syntax` when both engines of the reference would refuse it
 * @throws {UnsupportedError} `selinux.pattern.unsupported` outside the dialect
 */
export function parsePattern(text: string, where: string): ParsedPattern {
  return new PatternParser(text, where).parse();
}

class PatternParser {
  readonly #text: string;
  readonly #where: string;
  #at = 0;
  #nesting = 0;
  #look = false;
  #boundary = false;
  /** The first thing seen that PCRE2 would read in another way, if any. */
  #rustOnly: string | undefined;

  constructor(text: string, where: string) {
    this.#text = text;
    this.#where = where;
  }

  parse(): ParsedPattern {
    const pattern = this.#choice();
    if (this.#at < this.#text.length) this.#refuse("an unmatched )", "a balanced pattern");
    if (this.#look && this.#rustOnly !== undefined) this.#unsupported(`${this.#rustOnly} together with look-ahead`);
    return { pattern, look: this.#look, contextual: this.#look || this.#boundary };
  }

  #choice(): Pattern {
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    return options.length === 1 ? (options[0] as Pattern) : { kind: "choice", options };
  }

  #sequence(): Pattern {
    const parts: Pattern[] = [];
    while (this.#at < this.#text.length && !this.#sees("|") && !this.#sees(")")) parts.push(this.#repeated());
    return parts.length === 1 ? (parts[0] as Pattern) : { kind: "sequence", parts };
  }

  #repeated(): Pattern {
    let body = this.#atom();
    for (let stacked = false; ; stacked = true) {
      const bounds = this.#bounds();
      if (bounds === undefined) return body;
      // `a++` repeats a repetition in the Rust syntax and is possessive in PCRE2.
      if (stacked) this.#rustOnly ??= "a repeated repetition";
      body = { kind: "repeat", body, ...bounds };
      this.#take("?"); // lazy: the same set of strings
    }
  }

  #bounds(): { readonly min: number; readonly max: number } | undefined {
    if (this.#take("*")) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take("+")) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take("?")) return { min: 0, max: 1 };
    if (!this.#sees("{")) return undefined;
    const counts = /^\{(\d{1,9})(,?)(\d{0,9})\}/.exec(this.#text.slice(this.#at, this.#at + 22));
    if (counts === null) this.#unsupported("a { that is no count");
    const min = Number(counts[1]);
    const max = counts[2] === "" ? min : counts[3] === "" ? Number.POSITIVE_INFINITY : Number(counts[3]);
    if (max < min) this.#refuse(quote(counts[0]), "a count that does not fall");
    if (min > MAX_REPEAT || (max > MAX_REPEAT && max !== Number.POSITIVE_INFINITY)) {
      this.#unsupported(`a count above ${MAX_REPEAT}`);
    }
    this.#at += counts[0].length;
    return { min, max };
  }

  #atom(): Pattern {
    const start = this.#at;
    const char = this.#next();
    switch (char) {
      case ".":
        return { kind: "dot" };
      case "^":
        return { kind: "assert", what: "start" };
      case "$":
        return { kind: "assert", what: "end" };
      case "(":
        return this.#group();
      case "[":
        return { kind: "byte", set: this.#class() };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
      case "{":
        this.#at = start;
        return this.#refuse(quote(char), "something to repeat");
      default:
        return this.#literal(char);
    }
  }

  /** A character outside ASCII is its UTF-8 bytes, repeated as one by the Rust syntax. */
  #literal(char: string): Pattern {
    const bytes = Buffer.from(char, "utf8");
    if (bytes.length === 1) return { kind: "byte", set: literal(bytes[0] as number) };
    this.#rustOnly ??= "a character outside ASCII";
    return { kind: "sequence", parts: [...bytes].map((byte) => ({ kind: "byte", set: literal(byte) })) };
  }

  #group(): Pattern {
    if (++this.#nesting > MAX_NESTING) this.#refuse("more", `at most ${MAX_NESTING} groups inside each other`);
    const look = this.#take("?=") ? true : this.#take("?!") ? false : undefined;
    if (look === undefined && !this.#take("?:") && this.#sees("?")) this.#unsupported("this kind of group");
    const body = this.#choice();
    if (!this.#take(")")) this.#refuse("the end of the pattern", ")");
    this.#nesting--;
    if (look === undefined) return body;
    this.#look = true;
    return { kind: "look", wanted: look, body };
  }

  #escape(): Pattern {
    const assertion = ASSERTIONS[this.#text[this.#at] ?? ""];
    if (assertion === undefined) return { kind: "byte", set: this.#escapedSet() };
    this.#at++;
    if (assertion === "word" || assertion === "not-word") this.#boundary = true;
    return { kind: "assert", what: assertion };
  }

  /** What follows a backslash, inside a class or out. */
  #escapedSet(): ByteSet {
    const char = this.#next();
    if (SELF.test(char)) return literal(char.charCodeAt(0));
    const perl = PERL_CLASSES[char];
    if (perl !== undefined) return perl;
    const byte = ESCAPES[char];
    if (byte !== undefined) return literal(byte);
    const hex = char === "x" ? /^(?:([0-9A-Fa-f]{2})|\{(0{0,6}[0-7]?[0-9A-Fa-f])\})/.exec(this.#ahead(10)) : null;
    if (hex === null) return this.#unsupported(char === "" ? "a \\ at the end" : `the escape \\${char}`);
    this.#at += hex[0].length;
    return literal(Number.parseInt((hex[1] ?? hex[2]) as string, 16));
  }

  #class(): ByteSet {
    const negated = this.#take("^");
    const set = new Uint8Array(256);
    for (let first = true; first || !this.#sees("]"); first = false) include(set, this.#classItem(first));
    this.#at++;
    return negated ? complement(set) : set;
  }

  #classItem(first: boolean): ByteSet {
    if (this.#sees("[:")) return this.#posixClass();
    const low = this.#classMember(first);
    this.#refuseSetOperators();
    if (!this.#sees("-") || this.#sees("-]")) return low.set;
    this.#at++;
    const high = this.#classMember(false);
    if (low.byte === undefined || high.byte === undefined) return this.#unsupported("a range of classes");
    if (high.byte < low.byte) return this.#refuse("a range that falls", "a range that does not");
    const set = new Uint8Array(256);
    return set.fill(1, low.byte, high.byte + 1);
  }

  #classMember(first: boolean): { readonly set: ByteSet; readonly byte?: number } {
    this.#refuseSetOperators();
    const char = this.#next();
    if (char === "" || (char === "]" && !first)) this.#refuse("the end of the pattern", "] of a class");
    if (char === "[") this.#unsupported("[ in a class");
    if (char > "\x7f") this.#unsupported("a character outside ASCII in a class");
    const set = char === "\\" ? this.#escapedSet() : literal(char.charCodeAt(0));
    const byte = set.indexOf(1);
    return set === literal(byte) ? { set, byte } : { set };
  }

  #refuseSetOperators(): void {
    for (const operator of ["&&", "--", "~~"]) {
      if (this.#sees(operator)) this.#unsupported(`${operator} in a class`);
    }
  }

  #posixClass(): ByteSet {
    const name = /^\[:(\^?)([a-z]+):\]/.exec(this.#ahead(16));
    const set = POSIX_CLASSES[name?.[2] ?? ""];
    if (name === null || set === undefined) return this.#unsupported("[ in a class");
    this.#at += name[0].length;
    return name[1] === "^" ? complement(set) : set;
  }

  #sees(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    const taken = this.#sees(text);
    if (taken) this.#at += text.length;
    return taken;
  }

  /** One code point; empty at the end. */
  #next(): string {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) return "";
    const char = String.fromCodePoint(code);
    this.#at += char.length;
    return char;
  }

  #ahead(length: number): string {
    return this.#text.slice(this.#at, this.#at + length);
  }

  #place(): string {
    return `${this.#where}: pattern ${quote(this.#text)}`;
  }

  #refuse(found: string, expected: string): never {
    throw new FormatError("selinux.pattern.syntax", { what: this.#place(), offset: this.#at, expected, found });
  }

  #unsupported(what: string): never {
    throw new UnsupportedError("selinux.pattern.unsupported", `${this.#place()}: ${what} at byte ${this.#at}`, {
      data: { pattern: this.#text, offset: this.#at },
      hint: "write the same set of paths with groups, classes and counts only",
    });
  }
}
