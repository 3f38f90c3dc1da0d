import fc from "fast-check";
import { expect, test } from "vitest";
import { parseChallenges } from "./challenge.ts";

const show = (header: string): unknown =>
  parseChallenges(header).map(({ parameters, scheme }) => [scheme, Object.fromEntries(parameters)]);

test.each([
  ['Basic realm="x"', [["basic", { realm: "x" }]]],
  ["BASIC Realm=x", [["basic", { realm: "x" }]]],
  [
    'Bearer realm="https://a/t?x=1,2",service="r s", scope="repository:a/b:pull,push"',
    [["bearer", { realm: "https://a/t?x=1,2", service: "r s", scope: "repository:a/b:pull,push" }]],
  ],
  [String.raw`Basic realm="a \"b\" \\c"`, [["basic", { realm: String.raw`a "b" \c` }]]],
  [
    'Basic realm="x", Bearer realm="y" , service=z',
    [
      ["basic", { realm: "x" }],
      ["bearer", { realm: "y", service: "z" }],
    ],
  ],
  [
    "Negotiate, Basic realm=x",
    [
      ["negotiate", {}],
      ["basic", { realm: "x" }],
    ],
  ],
  [
    "Negotiate YII=, Basic realm=x",
    [
      ["negotiate", {}],
      ["basic", { realm: "x" }],
    ],
  ],
  ['Bearer realm = "x" , , service="y"', [["bearer", { realm: "x", service: "y" }]]],
  ["", []],
  ["realm=x", []],
  ['Basic realm="open', [["basic", {}]]],
])("parseChallenges() reads %j", (header, expected) => {
  expect(show(header)).toEqual(expected);
});

test("parseChallenges() ends on whatever a server sends", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("Basic", "realm", "=", '"', "\\", ",", " ", "x")), (parts) => {
      expect(Array.isArray(parseChallenges(parts.join("")))).toBe(true);
    }),
  );
  const started = performance.now();
  parseChallenges("Basic ".repeat(100_000));
  parseChallenges(`Basic realm="${"\\".repeat(100_000)}`);
  parseChallenges(" ,".repeat(100_000));
  expect(performance.now() - started).toBeLessThan(1000);
});
