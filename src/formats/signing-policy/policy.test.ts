import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { parseGlob, parseSigningPolicy } from "./index.ts";

const BASE = 'repositories = ["quay.io/example/*"]\ncertificates = ["db.crt"]\n';
const parse = (text: string) => parseSigningPolicy(Buffer.from(text));

test("parseSigningPolicy() reads a whole policy", () => {
  const policy = parse(`${BASE}
    targets = ["quay.io/example/*-sealed:**"]
    max-age = "24h"
    lint = "warnings"
    skip-lints = ["var-log"]
    stubs = ["${"ab".repeat(32)}"]
    [kernel-arguments]
    required = ["rw"]
    forbidden = ["init=**"]
    [approvals]
    quorum = 2
    [approvals.approvers]
    alice = "alice.pub"
    bob = "bob.pub"
    [audit]
    log = "audit.jsonl"
    key = "pkcs11:object=audit"
  `);
  expect(policy).toMatchObject({ "max-age": 86_400, lint: "warnings", approvals: { quorum: 2 } });
});

test("parseSigningPolicy() is strict where nothing is said", () => {
  expect(parse(BASE)).toMatchObject({
    "allow-missing-verity": false,
    "allow-older-version": false,
    "allow-addons": false,
    lint: "fatal",
    stubs: [],
  });
});

test.each<[string, string, string]>([
  ["an unknown key", `${BASE}quorum = 1`, "policy.key-unknown"],
  ["an unknown key in a table", `${BASE}[kernel-arguments]\nrequire = ["rw"]`, "policy.key-unknown"],
  ["no repository", 'certificates = ["db.crt"]', "policy.malformed"],
  ["an empty list of certificates", 'repositories = ["a"]\ncertificates = []', "policy.malformed"],
  ["a duration in words", `${BASE}max-age = "a day"`, "policy.malformed"],
  ["a level that lint has not", `${BASE}lint = "some"`, "policy.malformed"],
  [
    "a quorum nobody can reach",
    `${BASE}[approvals]\nquorum = 2\napprovers = { a = "a.pub" }`,
    "policy.quorum-unreachable",
  ],
  ["a quorum of none", `${BASE}[approvals]\nquorum = 0\napprovers = { a = "a.pub" }`, "policy.malformed"],
  [
    "an approver with a path for a name",
    `${BASE}[approvals]\nquorum = 1\napprovers = { "../a" = "a" }`,
    "policy.malformed",
  ],
  ["three stars", 'repositories = ["a***"]\ncertificates = ["c"]', "policy.glob"],
  ["no TOML", "repositories =", "policy.toml"],
  ["stray characters", "\u{fffd}", "policy.toml"],
])("parseSigningPolicy() refuses %s", (_, text, code) => {
  expect(codeOf(() => parse(text))).toBe(code);
});

test.each([
  ["quay.io/example/*", "quay.io/example/os", true],
  ["quay.io/example/*", "quay.io/example/team/os", false],
  ["quay.io/example/**", "quay.io/example/team/os", true],
  ["quay.io/example/*", "quay.io/example2/os", false],
  ["quay.io/*/os", "quay.io/a/b/os", false],
  ["*", "", true],
  ["init=**", "init=/bin/sh", true],
  ["init=*", "init=/bin/sh", false],
  ["a.c", "abc", false],
  ["**a*b", "x/a/ab", true],
])("parseGlob(%s) on %s", (glob, text, fits) => {
  expect(parseGlob(glob)(text)).toBe(fits);
});

test("parseGlob() agrees with a regular expression", () => {
  const piece = fc.constantFrom("a", "b", "/", "*", "**");
  const text = fc.array(fc.constantFrom("a", "b", "/")).map((list) => list.join(""));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), text, (pieces, subject) => {
      const glob = pieces.join("");
      if (glob.includes("***")) return;
      const pattern = glob.replaceAll(/\*\*|\*/g, (star) => (star === "**" ? "[^]*" : "[^/]*"));
      expect(parseGlob(glob)(subject)).toBe(new RegExp(`^${pattern}$`).test(subject));
    }),
  );
});

test("parseGlob() takes its time for no glob", () => {
  expect(parseGlob("**a".repeat(500))("a".repeat(400))).toBe(false);
});

test("parseSigningPolicy() reads the example of the documentation", () => {
  const page = readFileSync(new URL("../../../docs/signing-elsewhere.md", import.meta.url), "utf8");
  const [, example = ""] = /```toml\n([^]*?)```/.exec(page) ?? [];
  expect(parse(example)).toMatchObject({ approvals: { quorum: 2 }, "max-age": 86_400, lint: "fatal" });
});
