import { expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { measureVerity, parseMeasurement } from "./measure-verity.ts";

test.each(["libc", "fsverity"] as const)(
  "measureVerity() through %s finds none where there is none",
  async (through) => {
    expect(await measureVerity("/proc/self/status", { through })).toBeUndefined();
    expect(await codeOfAsync(() => measureVerity("/nowhere/at/all", { through }))).toBe("input.not-found");
  },
);

test("parseMeasurement() reads what fsverity(1) prints", () => {
  const hex = "ab".repeat(64);
  expect(parseMeasurement(`sha512:${hex} /sysroot/composefs/images/${hex}\n`)).toEqual({
    algorithm: "sha512",
    digestHex: hex,
  });
  expect(parseMeasurement("md5:ab x\n")).toBeUndefined();
});
