import fc from "fast-check";
import { expect, test } from "vitest";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { parseFileContexts, parsePolicyName, parseSubstitutions, SelinuxPolicy } from "./index.ts";

const bytes = (text: string) => Buffer.from(text, "utf8");

test("parseFileContexts() reads pattern, type, context and line", () => {
  const text =
    "# comment\n\n  /a(/.*)?\tsystem_u:object_r:a_t:s0\r\n/b\t--  b_t\n/c -l\u00a0<<none>>\n  # x y z w\n/d -d d";
  const specs = parseFileContexts(bytes(text), "file_contexts");
  expect(specs.map(({ regex, type, context, line }) => [regex, type, context, line])).toEqual([
    ["/a(/.*)?", undefined, "system_u:object_r:a_t:s0", 3],
    ["/b", "-", "b_t", 4],
    ["/c", "l", undefined, 5],
    ["/d", "d", "d", 7],
  ]);
});

test.each([
  ["/a", "selinux.spec.fields"],
  ["/a --", "selinux.spec.fields"],
  ["/a -- b c", "selinux.spec.fields"],
  ["/a b c", "selinux.spec.fields"],
  ["/a -x b", "selinux.spec.type"],
  ["/a -dd b", "selinux.spec.type"],
  ["/a - b", "selinux.spec.type"],
  ["/a( b", "selinux.pattern.syntax"],
  ["/(?<=a) b", "selinux.pattern.unsupported"],
])("parseFileContexts() refuses %j with %s, naming the line", (line, code) => {
  const refused = () => parseFileContexts(bytes(`/ok c\n${line}\n`), "file_contexts.local");
  expect(refused).toThrow(expect.objectContaining({ code }) as Error);
  expect(refused).toThrow(/^file_contexts\.local line 2/);
});

test("parseFileContexts() refuses what is no UTF-8", () => {
  const refused = () => parseFileContexts(Buffer.from("/a b\n/\xff b", "latin1"), "f");
  expect(refused).toThrow(expect.objectContaining({ code: "selinux.file.not-utf8" }) as Error);
});

test("parseSubstitutions() reads pairs, the later winning", () => {
  const aliases = parseSubstitutions(bytes("# c\n/a /b\n /c\t/d \n/a /e\n"), "s");
  expect([...aliases]).toEqual([
    ["/a", "/e"],
    ["/c", "/d"],
  ]);
  for (const line of ["/a", "/a /b /c"]) {
    const refused = () => parseSubstitutions(bytes(line), "s");
    expect(refused).toThrow(expect.objectContaining({ code: "selinux.subs.fields" }) as Error);
  }
});

test.each([
  ["SELINUXTYPE=targeted\n", "targeted"],
  ["# SELINUXTYPE=no\nSELINUX=disabled\n selinuxtype\t=  a=b \nSELINUXTYPE=late", "a=b"],
  ["SELINUXTYPE=\n", ""],
  ["XSELINUXTYPE=a\nSELINUXTYPE\n", undefined],
  ["", undefined],
])("parsePolicyName(%j) is %j", (text, expected) => {
  expect(parsePolicyName(bytes(text), "config")).toBe(expected);
});

test("parsePolicyName() looks no further than its line", () => {
  expect(parsePolicyName(Buffer.from("SELINUXTYPE=a\n\xff", "latin1"), "config")).toBe("a");
  const refused = () => parsePolicyName(Buffer.from("\xff\nSELINUXTYPE=a", "latin1"), "config");
  expect(refused).toThrow(expect.objectContaining({ code: "selinux.file.not-utf8" }) as Error);
});

test("SelinuxPolicy takes the last match of file_contexts, .local, .homedirs, whatever is more special", () => {
  const policy = SelinuxPolicy.parse({
    main: bytes("/etc/passwd -- exact\n/etc/.* star\n/none <<none>>\n/home/.* main\n/opt/.* main"),
    local: bytes("/opt/.* local\n/home/.* local"),
    homedirs: bytes("/home/.* -d homedirs"),
  });
  const label = (path: string, type: "-" | "d" = "-") => policy.label(byteString(path), type);
  expect(label("/etc/passwd")).toBe("star");
  expect(label("/opt/x")).toBe("local");
  expect([label("/home/x"), label("/home/x", "d")]).toEqual(["local", "homedirs"]);
  expect([label("/none"), label("/other")]).toEqual([undefined, undefined]);
  expect([policy.spec(byteString("/none"), "-")?.line, policy.spec(byteString("/other"), "-")]).toEqual([3, undefined]);
});

test("SelinuxPolicy substitutes whole paths, once, subs_dist over subs", () => {
  const policy = SelinuxPolicy.parse({
    main: bytes("/.* x"),
    subs: bytes("/a /from-subs\n/b /c\n/c /d"),
    subsDist: bytes("/a /from-dist\n/from-dist/x /again"),
  });
  const walk = (path: string) =>
    path
      .split("/")
      .slice(1)
      .reduce<ByteString>((directory, name) => policy.effectivePath(directory, byteString(name)), byteString("/"));
  expect(walk("/a")).toBe("/from-dist");
  expect(walk("/a/y")).toBe("/from-dist/y");
  expect(walk("/a/x")).toBe("/again");
  expect(walk("/b")).toBe("/c");
  expect(walk("/b/x/c")).toBe("/c/x/c");
  expect(walk("/ab")).toBe("/ab");
});

test("SelinuxPolicy answers any bytes with a policy or a refusal", () => {
  const policy = "/usr(/.*)?\tsystem_u:object_r:usr_t:s0\n/etc/[^/]* -d <<none>>\n";
  const mutation = fc.tuple(fc.nat(policy.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 6 }), (mutations) => {
      const main = bytes(policy);
      for (const [at, byte] of mutations) main[at] = byte;
      try {
        SelinuxPolicy.parse({ main, subs: main }).label(byteString("/usr/bin"), "d");
      } catch (error) {
        expect(error).toBeInstanceOf(SealwrightError);
      }
    }),
    { numRuns: 2000 },
  );
});
