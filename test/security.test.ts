import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const text = readFileSync(`${root}SECURITY.md`, "utf8");

test("the tests that SECURITY.md names exist, one at least in every row", () => {
  const rows = text.split("\n").filter((line) => /^\| (?!threat|---)/.test(line));
  for (const row of rows) expect(row).toMatch(/`[\w/.-]+\.test\.ts`/);
  const files = [...text.matchAll(/`([\w/.-]+\.test\.ts)`/g)].map(([, file]) => file as string);
  expect(files.filter((file) => !existsSync(root + file))).toEqual([]);
});
