/** Layers by content on a real operating system. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireDebianImage } from "../../scripts/debian-image.ts";
import { computeDigests } from "../../src/actions/digest/compute-digests.ts";
import { rechunkImage } from "../../src/actions/rechunk/rechunk-image.ts";
import type { RechunkReport } from "../../src/actions/rechunk/report.ts";

let directory: string;
let base: string;
let report: RechunkReport;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-rechunk-debian-"));
  base = await requireDebianImage();
  report = await rechunkImage(base, { to: `oci:${directory}/cut:x`, maxLayers: 40, level: 3 });
}, 900_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Names in the tar of a layer, as GNU tar lists them. */
function listLayer({ digest }: RechunkReport["layers"][number]): string[] {
  const blob = join(directory, "cut/blobs", digest.replace(":", "/"));
  return execFileSync("tar", ["--zstd", "-tf", blob], { encoding: "utf8", maxBuffer: 1 << 28 })
    .trimEnd()
    .split("\n");
}

test("rechunkImage() cuts Debian by its source packages", () => {
  expect(report.warnings).toEqual([]);
  expect(report.layers.length).toBeLessThanOrEqual(40);
  const components = report.layers.flatMap((layer) => layer.components);
  expect(components).toEqual(expect.arrayContaining(["dpkg/glibc", "dpkg/systemd", "dpkg/util-linux"]));
  const inDpkg = report.layers.filter((layer) => layer.components.includes("dpkg/glibc")).flatMap(listLayer);
  expect(inDpkg.some((path) => path.endsWith("/libc.so.6"))).toBe(true);
  expect(inDpkg).toContain("usr/share/doc/libc6/copyright");
});

test("rechunkImage() declares every parent in every layer, and each file in one", () => {
  const files: string[] = [];
  for (const layer of report.layers) {
    const there = new Set([""]);
    for (const path of listLayer(layer)) {
      const parent = path.replace(/\/$/, "").split("/").slice(0, -1).join("/");
      expect(path === "./" || there.has(parent), path).toBe(true);
      if (path.endsWith("/")) there.add(path.slice(0, -1));
      else files.push(path);
    }
  }
  expect(new Set(files).size).toBe(files.length);
});

test("rechunkImage() leaves the digest of Debian as it is, in every format", async () => {
  const [before, after] = await Promise.all(
    [base, `oci:${directory}/cut:x`].map((name) => computeDigests(name, { formats: "all" })),
  );
  expect(after?.digests).toEqual(before?.digests);
});
