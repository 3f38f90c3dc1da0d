import fc from "fast-check";
import { expect, test } from "vitest";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { type FileSpec, parsePattern, SpecMatcher } from "./index.ts";

function spec(regex: string): FileSpec {
  return { ...parsePattern(regex, "test line 1"), regex, context: byteString("c"), file: "test", line: 1 };
}

const matches = (regex: string, path: string) =>
  new SpecMatcher([spec(regex)]).match(byteString(path), "-") !== undefined;

test.each([
  ["/usr(/.*)?", "/usr /usr/ /usr/a/b", "/us /usra /us/r"],
  ["/a\\.b\\-c\\_d\\/e", "/a.b-c_d/e", "/aXb-c_d/e"],
  ["/(a|bc|)d", "/ad /bcd /d", "/bd /abcd"],
  ["/a{2}b{1,3}c{2,}d{0}", "/aabcc /aabbbccc", "/abcc /aabbbbcc /aabc /aabccd"],
  ["/a+?b*?c??d", "/ad /aabbcd", "/d /accd"],
  ["/a++(b*)*", "/aabbb /a", "/ /ba"],
  ["/[a-c][^a-c][]x][-a][a-]", "/axx-- /bd]aa", "/ddx-- /aa]-- /ax--b"],
  ["/[[:digit:]]+[[:^alpha:]_]", "/12. /1_", "/a. /1a"],
  ["/\\d\\D\\w\\W\\S", "/1a_.x", "/aa_.x /11_.x /1aaax /1a_x."],
  ["/\\x41\\x{42}\\t?", "/AB", "/41"],
  ["(?:/a)(?=b).*", "/ab /abc", "/a /ac"],
  ["/(?!bad).*", "/good /ba", "/bad /badly"],
  ["/x/(?!.*\\.bak$)(?!a|(?!abc)b).*", "/x/c", "/x/a /x/b"],
  ["/\\bfoo\\b.*", "/foo /foo-x", "/food"],
  ["/a\\Bb", "/ab", "/a-b"],
  ["^/a", "/a", "//a"],
  ["/a^b", "", "/ab /a^b"],
  ["/a$", "", "/a /a$"],
  ["/\\$\\^", "/$^", "/"],
  ["/é?x", "/éx /x", "/\u00c3x"],
  ["/]}", "/]}", "/"],
])("parsePattern(%j) means what the reference takes it for", (regex, good, bad) => {
  const given = (paths: string) => paths.split(" ").filter((path) => path !== "");
  expect(given(good).filter((path) => !matches(regex, path))).toEqual([]);
  expect(given(bad).filter((path) => matches(regex, path))).toEqual([]);
});

test("a dot takes a newline, but not where look-ahead makes the whole pattern PCRE2's", () => {
  expect(matches("/a.b", "/a\nb")).toBe(true);
  expect(matches("/a.b(?=)", "/a\nb")).toBe(false);
  expect(matches("/a[^x]b(?=)", "/a\nb")).toBe(true);
});

test.each([
  ["/a)", "selinux.pattern.syntax"],
  ["/(a", "selinux.pattern.syntax"],
  ["*a", "selinux.pattern.syntax"],
  ["/(|+)", "selinux.pattern.syntax"],
  ["/[a", "selinux.pattern.syntax"],
  ["/[z-a]", "selinux.pattern.syntax"],
  ["/a{3,2}", "selinux.pattern.syntax"],
  [`${"(".repeat(251)}a${")".repeat(251)}`, "selinux.pattern.syntax"],
  ["/a{", "selinux.pattern.unsupported"],
  ["/a{,3}", "selinux.pattern.unsupported"],
  ["/a{1001}", "selinux.pattern.unsupported"],
  ["/a\\", "selinux.pattern.unsupported"],
  ["/(a)\\1", "selinux.pattern.unsupported"],
  ["/\\<a\\>", "selinux.pattern.unsupported"],
  ["/a\\Z", "selinux.pattern.unsupported"],
  ["/\\h", "selinux.pattern.unsupported"],
  ["/\\pL", "selinux.pattern.unsupported"],
  ["/\\x{1F600}", "selinux.pattern.unsupported"],
  ["/(?<=a)b", "selinux.pattern.unsupported"],
  ["/(?>a)", "selinux.pattern.unsupported"],
  ["/(?i)a", "selinux.pattern.unsupported"],
  ["/(?P<x>a)", "selinux.pattern.unsupported"],
  ["/[a&&b]", "selinux.pattern.unsupported"],
  ["/[a--b]", "selinux.pattern.unsupported"],
  ["/[a[b]]", "selinux.pattern.unsupported"],
  ["/[[:nope:]]", "selinux.pattern.unsupported"],
  ["/[\\d-z]", "selinux.pattern.unsupported"],
  ["/[é]", "selinux.pattern.unsupported"],
  ["/(?=a)a++", "selinux.pattern.unsupported"],
  ["/(?=a)é", "selinux.pattern.unsupported"],
])("parsePattern(%j) refuses with %s, file and line", (regex, code) => {
  const refused = () => parsePattern(regex, "file_contexts line 7");
  expect(refused).toThrow(expect.objectContaining({ code }) as Error);
  expect(refused).toThrow(/^file_contexts line 7: pattern/);
});

test("parsePattern() answers any text with a pattern or a refusal", () => {
  const text = fc.string({
    unit: fc.constantFrom(..."/ab09.*+?{},()[]|^$\\-:&~<>=!dxZ\u00e9".split("")),
    maxLength: 20,
  });
  fc.assert(
    fc.property(text, (regex) => {
      try {
        parsePattern(regex, "x");
      } catch (error) {
        expect(error).toBeInstanceOf(SealwrightError);
      }
    }),
    { numRuns: 3000 },
  );
});

/** Patterns that JavaScript reads in the same way, so that its engine can judge ours. */
const { pattern } = fc.letrec<{ pattern: string; atom: string }>((tie) => ({
  pattern: fc
    .array(fc.tuple(tie("atom"), fc.constantFrom("", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?")), {
      maxLength: 4,
    })
    .map((parts) => parts.map(([atom, count]) => atom + count).join("")),
  atom: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("a", "b", "/", ".", "[ab]", "[^a]", "[^/]", "\\.", "\\w") },
    { weight: 2, arbitrary: fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => `(${a}|${b})`) },
    { weight: 1, arbitrary: tie("pattern").map((inner) => `(?:(?=${inner}))`) },
    { weight: 1, arbitrary: tie("pattern").map((inner) => `(?:(?!${inner}))`) },
    { weight: 1, arbitrary: fc.constantFrom("(?:\\b)", "(?:\\B)", "(?:^)") },
  ),
}));

const path = fc.string({ unit: fc.constantFrom("a", "b", "/", ".", "-", "\x80", "\xff"), maxLength: 8 });

test("SpecMatcher finds the last pattern of several that JavaScript's engine matches", () => {
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 5 }), fc.array(path, { maxLength: 8 }), (all, paths) => {
      const matcher = new SpecMatcher(all.map(spec));
      // The file type of these specs is any byte.
      const judges = all.map((regex) => new RegExp(`^(?:(?:${regex}).)$`, "s"));
      for (const one of paths) {
        const expected = judges.findLastIndex((judge) => judge.test(`${one}-`));
        expect(matcher.match(one as ByteString, "-")?.regex).toBe(all[expected]);
      }
    }),
    { numRuns: 400 },
  );
});

test.each([
  ["nested repetition", "/(a*)*(a|aa)+(.*a)*b"],
  ["nested repetition after look-ahead", "/(?=a)(a*)*(a|aa)+(.*a)*b"],
  ["look-ahead in a loop", "/((?=(a*)*b)a)*b"],
])("SpecMatcher takes no more than its share of work with %s", (_, regex) => {
  expect(matches(regex, `/${"a".repeat(255)}`)).toBe(false);
});

test("SpecMatcher gives up on a policy that is built to be slow", () => {
  const specs = Array.from({ length: 20 }, (_, at) => spec(`/(.*a.{${200 + at}})*(.*b.{200})*`));
  const matcher = new SpecMatcher(specs, 1_000_000);
  const long = Array.from({ length: 1000 }, (_, at) => "ab"[((at * at) % 3) & 1]).join("");
  const match = () => matcher.match(byteString(`/${long}`), "-");
  expect(match).toThrow(expect.objectContaining({ code: "selinux.policy.too-costly" }) as Error);
});

test.each([
  ["slow", "/(?=a)(.*a.{200})*(.*b.{200})*", 1_000_000],
  ["large", "/(?=a)((a{100}){100}){4}b", undefined],
])("SpecMatcher gives up on look-ahead that is built to be %s", (_, regex, maxWork) => {
  const matcher = new SpecMatcher([spec(regex)], maxWork);
  const many = () => {
    for (let count = 0; count < 100; count++) matcher.match(byteString(`/${"a".repeat(4000 + count)}`), "-");
  };
  expect(many).toThrow(expect.objectContaining({ code: "selinux.policy.too-costly" }) as Error);
});

test("SpecMatcher forgets states when they are many, and answers the same", () => {
  const matcher = new SpecMatcher([spec("/(.*a.{400})*"), spec("/.*b.{400}c")]);
  const judge = /^\/.*b.{400}c.$/s;
  for (let seed = 1; seed < 60; seed++) {
    const text = Array.from({ length: 1200 }, (_, at) => "abc"[(at * seed * (at ^ seed)) % 3]).join("");
    expect(matcher.match(byteString(`/${text}`), "-")?.regex === "/.*b.{400}c").toBe(judge.test(`/${text}-`));
  }
});

test("SpecMatcher gives up on a policy that is built to be large", () => {
  const specs = () => new SpecMatcher([spec("/(((a{100}){100}){100}){100}")]);
  expect(specs).toThrow(expect.objectContaining({ code: "selinux.policy.too-large" }) as Error);
});
