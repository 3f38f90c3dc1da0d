/** Awkward layers of every kind, normalised: what umoci unpacks has the digest of the layers. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { computeDigests } from "../../src/actions/digest/compute-digests.ts";
import { generateKeys } from "../../src/actions/keys/generate-keys.ts";
import { sealImage } from "../../src/actions/seal/seal-image.ts";
import { xattrs } from "../layers.ts";
import { generator, pickOf, type Random } from "../random.ts";
import { type PlainEntry, tarLayer, writeSmallOs } from "../small-os.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const FORMATS = "v1-sha512,v2-sha512";

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-normalize-"));
  await generateKeys({ directory: join(directory, "keys"), now: new Date("2026-01-01T00:00:00Z"), randomBytes });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Layers that leave out parents, with fractions of a second, foreign attributes, links with any mode, whiteouts. */
function awkwardLayers(seed: number): Uint8Array[] {
  const random = generator(seed);
  const directories = ["usr/share", "usr/lib", "etc"];
  const taken = new Set(directories);
  const older: string[] = [];
  return Array.from({ length: 3 }, () => {
    const leaves: string[] = [];
    const entries = Array.from({ length: 16 }, (): PlainEntry[] => {
      const path = `${pickOf(random, directories)}/n${random(30)}`;
      if (random(6) === 0 && older.length > 0) return [whiteout(older.splice(random(older.length), 1)[0] as string)];
      if (taken.has(path)) return [];
      const entry = awkwardEntry(random, path, leaves);
      for (const name of [path, entry.path.replace(/\/$/, "")]) taken.add(name);
      if (entry.kind === "directory") directories.push(path);
      else leaves.push(entry.path);
      return [entry];
    }).flat();
    older.push(...leaves);
    return tarLayer(entries);
  });
}

function whiteout(path: string): PlainEntry {
  const cut = path.lastIndexOf("/") + 1;
  return { kind: "file", path: `${path.slice(0, cut)}.wh.${path.slice(cut)}`, content: "" };
}

function awkwardEntry(random: Random, path: string, leaves: readonly string[]): PlainEntry {
  const mtimeNsec = random(2) * random(1_000_000_000);
  const meta = { mtimeSec: BigInt(1_600_000_000 + random(1_000_000)), mtimeNsec, uid: random(3), gid: random(3) };
  const foreign = random(3) === 0 ? { xattrs: xattrs({ "user.origin": String(random(9)) }) } : {};
  switch (random(6)) {
    case 0:
      return { kind: "directory", path: `${path}/`, ...meta, ...foreign };
    case 1:
      return { kind: "symlink", path, target: "elsewhere", mode: pickOf(random, [0o777, 0o755]), ...meta };
    case 2:
      return { kind: "fifo", path, ...meta };
    case 3:
      if (leaves.length > 0) return { kind: "hardlink", path, target: pickOf(random, leaves) };
      return { kind: "file", path, content: "", ...meta };
    case 4:
      return { kind: "file", path: `${path}/left/out`, content: "x".repeat(random(200)), ...meta };
    default:
      return { kind: "file", path, content: "x".repeat(random(200)), mode: 0o4755, ...meta, ...foreign };
  }
}

test.each([1, 2, 3, 4, 5, 6])("sealImage() normalises awkward layers, seed %i", async (seed) => {
  const [from, to, bundle] = ["os", "sealed", "bundle"].map((name) => join(directory, `${name}-${seed}`));
  await writeSmallOs(`oci:${from}:os`, { tars: awkwardLayers(seed), compression: seed % 2 === 0 ? "none" : "gzip" });
  const keys = { key: join(directory, "keys", "db.key"), certificatePath: join(directory, "keys", "db.crt") };
  const options = { to: `oci:${to}:os`, now: NOW, normalize: true, digestFormats: FORMATS, ...keys };
  const { digests, normalization } = await sealImage(`oci:${from}:os`, options);
  expect(normalization?.mendedLayers).not.toEqual([]);
  expect(normalization?.left).toEqual([]);

  execFileSync("umoci", ["unpack", "--image", `${to}:os`, String(bundle)], { stdio: "pipe" });
  const unpacked = await computeDigests(`dir:${bundle}/rootfs`, { formats: FORMATS });
  expect(unpacked.digests).toEqual(digests);
});
