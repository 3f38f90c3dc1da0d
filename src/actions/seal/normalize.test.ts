import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { xattrs } from "../../../test/layers.ts";
import { tarLayer, writeSmallOs } from "../../../test/small-os.ts";
import { openImage } from "../../model/image/open-image.ts";
import { computeDigests } from "../digest/compute-digests.ts";
import { generateKeys } from "../keys/generate-keys.ts";
import { verifyImage } from "../verify/verify-image.ts";
import { type SealOptions, sealImage } from "./seal-image.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const LONG = "content of a file of more than sixty-four bytes, so that it is an object of its own\n";

/** Everything that tools see differently, in two layers of somebody else's make. */
const awkward = [
  tarLayer([
    { kind: "directory", path: "usr/share/", mtimeNsec: 500_000_000 },
    { kind: "file", path: "usr/share/fraction", content: LONG, mtimeNsec: 123_456_789 },
    { kind: "hardlink", path: "usr/share/fraction-too", target: "usr/share/fraction" },
    { kind: "file", path: "usr/share/attribute", content: LONG, xattrs: xattrs({ "user.origin": "elsewhere" }) },
    { kind: "symlink", path: "usr/share/link", target: "fraction", mtimeNsec: 1 },
    { kind: "fifo", path: "usr/share/fifo", mtimeNsec: 7 },
    { kind: "directory", path: "usr/share/attributes/", xattrs: xattrs({ "user.origin": "elsewhere" }) },
  ]),
  // Its parents are in the layer below, or nowhere.
  tarLayer([
    { kind: "file", path: "usr/share/attributes/late", content: LONG },
    { kind: "file", path: "opt/vendor/tool/program", content: LONG },
  ]),
];

let directory: string;
let count = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-normalize-"));
  await generateKeys({ directory: join(directory, "keys"), now: new Date("2026-01-01T00:00:00Z"), randomBytes });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function seal(layers: readonly Uint8Array[], more: Partial<SealOptions> = {}) {
  const from = `oci:${join(directory, `os-${count++}`)}:os`;
  const to = `oci:${join(directory, `sealed-${count++}`)}:os`;
  await writeSmallOs(from, { tars: layers, compression: "gzip" });
  const keys = { key: join(directory, "keys", "db.key"), certificatePath: join(directory, "keys", "db.crt") };
  return { from, to, report: await sealImage(from, { to, now: NOW, ...keys, ...more }) };
}

/** The digest that a tool computes that sees the image unpacked. */
async function digestUnpacked(reference: string, formats: string) {
  const bundle = join(directory, `bundle-${count++}`);
  execFileSync("umoci", ["unpack", "--image", reference.replace(/^oci:/, ""), bundle], { stdio: "pipe" });
  return (await computeDigests(`dir:${join(bundle, "rootfs")}`, { formats })).digests;
}

describe("sealImage() with normalize", () => {
  test("gives an image whose layers and whose unpacked tree have one digest", async () => {
    const { report, to } = await seal(awkward, { normalize: true, digestFormats: "v1,v2" });
    const fromLayers = (await computeDigests(to, { formats: "v1-sha512,v2-sha512" })).digests;
    expect(fromLayers).toEqual(report.digests);
    expect(await digestUnpacked(to, "v1-sha512,v2-sha512")).toEqual(fromLayers);
    const verdict = await verifyImage(to, { certificates: [join(directory, "keys", "db.crt")], now: NOW });
    expect(verdict.holds).toBe(true);
  });

  test("is needed for an image like that", async () => {
    expect(await codeOfAsync(() => seal(awkward))).toBe("tree.parent-missing");
  });

  test("declares a parent below a directory that the same layer declares", async () => {
    const layer = tarLayer([
      { kind: "directory", path: "./usr/share/", mode: 0o750 },
      { kind: "file", path: "./usr/share/vendor/file", content: LONG },
    ]);
    const { report, to } = await seal([layer], { normalize: true });
    expect(report.normalization?.mendedLayers).toMatchObject([{ directories: ["/usr/share/vendor"] }]);
    expect(await digestUnpacked(to, "v1-sha512")).toEqual({ "v1-sha512": report.digest });
  });

  test("says what it changed, by code", async () => {
    const { from, report, to } = await seal(awkward, { normalize: true });
    const { changes, left, mendedLayers } = report.normalization ?? {};
    expect(Object.fromEntries(changes?.map(({ code, count: number }) => [code, number]) ?? [])).toEqual({
      "normalize.directory-time": 1,
      "normalize.directory-left-out": 3,
      "normalize.leaf-time": 2,
      "normalize.file-time": 1,
      "normalize.xattr-foreign": 2,
      "normalize.file-reshipped": 2,
    });
    expect(left).toEqual([]);
    expect(mendedLayers).toMatchObject([{ index: 2, directories: ["/opt", "/opt/vendor", "/opt/vendor/tool"] }]);
    await using before = await openImage(from);
    await using after = await openImage(to);
    const digests = (image: typeof before) => image.layers.map(({ digest }) => digest);
    expect(digests(after).slice(0, 2)).toEqual(digests(before).slice(0, 2));
    expect(digests(after)[2]).toBe(mendedLayers?.[0]?.digest);
  });

  test("changes nothing where there is nothing to change", async () => {
    const { report } = await seal([], { normalize: true });
    expect(report.normalization).toEqual({ changes: [], left: [], mendedLayers: [] });
  });

  test("leaves files above the limit as they are and says so, unless it is told to ship them again", async () => {
    const big = tarLayer([
      { kind: "directory", path: "usr/share/" },
      { kind: "file", path: "usr/share/big", content: Buffer.alloc(65 << 20), mtimeNsec: 5 },
    ]);
    const { report } = await seal([big], { normalize: true });
    expect(report.normalization).toMatchObject({
      changes: [{ code: "normalize.directory-left-out" }],
      left: [{ code: "normalize.files-left", count: 1, size: 65 << 20 }],
    });
    const { report: all } = await seal([big], { normalizeAll: true });
    expect(all.normalization).toMatchObject({ left: [] });
    expect(all.layer.size).toBeGreaterThan(65 << 20);
  });
});
