import { describe, expect, test } from "vitest";
import { codeOf } from "../../test/code-of.ts";
import { pairKeys } from "./signer-flags.ts";

describe("pairKeys()", () => {
  test.each([
    [undefined, undefined, []],
    [["a"], undefined, [{ key: "a", certificatePath: undefined }]],
    [["a"], ["x"], [{ key: "a", certificatePath: "x" }]],
    [
      ["a", "b"],
      ["x", "y"],
      [
        { key: "a", certificatePath: "x" },
        { key: "b", certificatePath: "y" },
      ],
    ],
  ])("of %o and %o", (keys, certificates, expected) => {
    expect(pairKeys(keys, certificates)).toEqual(expected);
  });

  test.each([
    [["a", "b"], ["x"]],
    [["a"], ["x", "y"]],
    [undefined, ["x"]],
  ])("of %o and %o is refused: nobody should have to guess", (keys, certificates) => {
    expect(codeOf(() => pairKeys(keys, certificates))).toBe("signer.pairs");
  });
});
