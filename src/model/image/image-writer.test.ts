import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { putSmallImage, twoLayers, writeSmallImage } from "../../../test/small-image.ts";
import { blobPath, MEDIA_TYPE, toBlobDigest } from "../../formats/oci/index.ts";
import { runCommand } from "../host-io/command.ts";
import { openTempDir, type TempDir } from "../host-io/temp.ts";
import { streamBytes } from "./blob.ts";
import { openImageWriter } from "./image-writer.ts";
import { openImage } from "./open-image.ts";

let temp: TempDir;
const at = (name: string): string => `${temp.path}/${name}`;
const refused = (code: string) => expect.objectContaining({ code });
const listing = async (): Promise<string> =>
  Buffer.from((await runCommand(["find", temp.path, "-mindepth", "1", "-printf", "%P %s\n"])).stdout).toString();

beforeEach(async () => {
  temp = await openTempDir("sealwright-test");
});
afterEach(async () => await temp[Symbol.asyncDispose]());

const TARGETS = [
  ["a new layout", "oci", "layout"],
  ["an archive", "oci-archive", "image.tar"],
] as const;

test.each(TARGETS)(
  "openImageWriter() shows nothing of %s before commit, and leaves nothing without",
  async (_, transport, name) => {
    {
      await using writer = await openImageWriter(`${transport}:${at(name)}:v1`);
      await writer.putBytes(Buffer.from("x"), MEDIA_TYPE.layer);
      expect((await readdir(temp.path)).filter((entry) => !entry.startsWith("."))).toEqual([]);
    }
    expect(await readdir(temp.path)).toEqual([]);
  },
);

test("openImageWriter() leaves an existing layout as it was without commit", async () => {
  await writeSmallImage(`oci:${at("layout")}:v1`);
  const before = await readFile(at("layout/index.json"), "utf8");
  {
    await using writer = await openImageWriter(`oci:${at("layout")}:v2`);
    await writer.putBytes(Buffer.from("x"), MEDIA_TYPE.layer);
  }
  expect((await readdir(at("layout"))).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
  expect(await readdir(at("layout/blobs/sha256"))).toHaveLength(4);
  expect(await readFile(at("layout/index.json"), "utf8")).toBe(before);
});

test("openImageWriter() moves a tag and keeps everything else in the index", async () => {
  await writeSmallImage(`oci:${at("layout")}:v1`);
  await writeSmallImage(`oci:${at("layout")}:other`);
  const index = JSON.parse(await readFile(at("layout/index.json"), "utf8")) as Record<string, unknown>;
  const foreign = { mediaType: "application/xml", digest: toBlobDigest(Buffer.from("x")), size: 1 };
  const manifests = [...(index["manifests"] as unknown[]), foreign];
  await writeFile(
    at("layout/index.json"),
    JSON.stringify({ ...index, manifests, annotations: { a: "b" }, unknown: 1 }),
  );

  const { manifest } = await writeSmallImage(`oci:${at("layout")}:v1`, { layers: [[{ n: "1" }, "none"]] });
  const after = JSON.parse(await readFile(at("layout/index.json"), "utf8")) as { manifests: Record<string, unknown>[] };
  expect(after).toMatchObject({ annotations: { a: "b" }, unknown: 1 });
  expect(after.manifests).toHaveLength(3);
  expect(after.manifests).toContainEqual(foreign);
  await using v1 = await openImage(`oci:${at("layout")}:v1`);
  await using other = await openImage(`oci:${at("layout")}:other`);
  expect([v1.manifestDigest, other.layers.length]).toEqual([manifest.digest, 2]);
});

test("openImageWriter() makes the same archive twice, and does not replace one unasked", async () => {
  await writeSmallImage(`oci-archive:${at("a.tar")}:v1`);
  await writeSmallImage(`oci-archive:${at("b.tar")}:v1`);
  expect(await readFile(at("a.tar"))).toEqual(await readFile(at("b.tar")));
  await expect(openImageWriter(`oci-archive:${at("a.tar")}`)).rejects.toThrow(refused("output.exists"));
  await using writer = await openImageWriter(`oci-archive:${at("a.tar")}:v1`, { overwrite: true });
  await putSmallImage(writer, { layers: [[{ x: "y" }, "none"]] });
  await using image = await openImage(`oci-archive:${at("a.tar")}`);
  expect(image.layers).toHaveLength(1);
});

test("openImageWriter() does not replace an archive that came while it worked", async () => {
  await using writer = await openImageWriter(`oci-archive:${at("late.tar")}`);
  await writeFile(at("late.tar"), "mine");
  await expect(putSmallImage(writer)).rejects.toThrow(refused("output.exists"));
  expect(await readFile(at("late.tar"), "utf8")).toBe("mine");
});

test.each(TARGETS)(
  "the blobs of %s have names and sizes that were found when none were given",
  async (_, transport, name) => {
    await using writer = await openImageWriter(`${transport}:${at(name)}`);
    const bytes = Buffer.alloc(300_000, 3);
    const expected = { mediaType: MEDIA_TYPE.layer, digest: toBlobDigest(bytes), size: bytes.length };
    expect(await writer.putBlob({ mediaType: MEDIA_TYPE.layer }, streamBytes(bytes))).toEqual(expected);
    // The same again, then other bytes: an archive must not have a member twice.
    expect(await writer.putBlob({ mediaType: MEDIA_TYPE.layer }, streamBytes(bytes))).toEqual(expected);
    const sha512 = toBlobDigest(bytes, "sha512");
    expect(await writer.putBlob({ mediaType: MEDIA_TYPE.layer, digest: sha512 }, streamBytes(bytes))).toMatchObject({
      digest: sha512,
    });
    expect(await writer.has(expected.digest)).toBe(true);
    expect(await writer.has(toBlobDigest(Buffer.from("never")))).toBe(false);
    await putSmallImage(writer);
    await using image = await openImage(`${transport}:${at(name)}`);
    expect(image.layers).toHaveLength(2);
  },
);

test.each(TARGETS)("a wrong blob is refused by %s, and a good one may follow", async (_, transport, name) => {
  await using writer = await openImageWriter(`${transport}:${at(name)}:v1`);
  const bytes = Buffer.alloc(70_000, 1);
  const { mediaType, digest, size } = { mediaType: MEDIA_TYPE.layer, digest: toBlobDigest(bytes), size: bytes.length };
  const put = (content: Uint8Array) => writer.putBlob({ mediaType, digest, size }, streamBytes(content));
  await expect(put(Buffer.alloc(70_000, 2))).rejects.toThrow(refused("image.blob.digest-mismatch"));
  await expect(put(bytes.subarray(1))).rejects.toThrow(refused("image.blob.size-mismatch"));
  await expect(put(Buffer.alloc(70_001, 1))).rejects.toThrow(refused("image.blob.size-mismatch"));
  expect(await writer.has(digest)).toBe(false);
  await putSmallImage(writer);
  await using image = await openImage(`${transport}:${at(name)}:v1`);
  for (const layer of image.layers)
    for await (const chunk of layer.open()) expect(toBlobDigest(chunk)).toBe(layer.digest);
});

test.each(TARGETS)("commit() to %s refuses a manifest whose layer was not written", async (_, transport, name) => {
  const { manifestBytes } = await writeSmallImage(`oci:${at("complete")}:v1`);
  await using writer = await openImageWriter(`${transport}:${at(name)}`);
  await expect(writer.commit({ manifestBytes, mediaType: MEDIA_TYPE.manifest })).rejects.toThrow(
    refused("image.blob.missing"),
  );
});

test.each(TARGETS)("an interrupted writer of %s leaves what was there", async (_, transport, name) => {
  await writeSmallImage(`oci:${at("layout")}:v1`);
  const before = await listing();
  const stop = new AbortController();
  const work = async (): Promise<void> => {
    await using writer = await openImageWriter(`${transport}:${at(name)}:v2`, { signal: stop.signal });
    await writer.putBytes(Buffer.from("first"), MEDIA_TYPE.layer);
    stop.abort();
    await putSmallImage(writer, { layers: twoLayers });
  };
  await expect(work()).rejects.toThrow(refused("interrupted"));
  expect(await listing()).toBe(before);
});

test("copyBlob() replaces a damaged blob and leaves a sound one", async () => {
  await writeSmallImage(`oci:${at("from")}:v1`);
  await writeSmallImage(`oci:${at("to")}:v1`);
  await using image = await openImage(`oci:${at("from")}:v1`);
  const [first, second] = image.layers.map(({ digest }) => at(`to/${blobPath(digest)}`)) as [string, string];
  await writeFile(first, Buffer.alloc((await stat(first)).size));
  const { ino } = await stat(second);
  {
    await using writer = await openImageWriter(`oci:${at("to")}:v2`);
    for (const layer of image.layers) await writer.copyBlob(layer);
    await writer.commit({ manifestBytes: image.manifestBytes, mediaType: image.manifestMediaType });
  }
  expect(toBlobDigest(await readFile(first))).toBe(image.layers[0]?.digest);
  expect((await stat(second)).ino).toBe(ino);
});

test("copyBlob() refuses a layer that is not what its digest says", async () => {
  await writeSmallImage(`oci:${at("from")}:v1`);
  await using image = await openImage(`oci:${at("from")}:v1`);
  const [layer] = image.layers;
  if (layer === undefined) throw new Error("the image has no layer");
  await writeFile(at(`from/${blobPath(layer.digest)}`), Buffer.alloc(layer.size));
  for (const target of [`oci:${at("to")}`, `oci-archive:${at("to.tar")}`]) {
    await using writer = await openImageWriter(target);
    await expect(writer.copyBlob(layer)).rejects.toThrow(refused("image.blob.digest-mismatch"));
  }
});

test("openImageWriter() does not write through a symbolic link in the place of a blob", async () => {
  await writeFile(at("victim"), "untouched");
  await mkdir(at("layout/blobs/sha256"), { recursive: true });
  await writeFile(at("layout/oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const bytes = Buffer.from("blob");
  await symlink(at("victim"), at(`layout/${blobPath(toBlobDigest(bytes))}`));
  {
    await using writer = await openImageWriter(`oci:${at("layout")}:v1`);
    await writer.putBytes(bytes, MEDIA_TYPE.layer);
    await putSmallImage(writer);
  }
  expect(await readFile(at("victim"), "utf8")).toBe("untouched");
  expect(await readFile(at(`layout/${blobPath(toBlobDigest(bytes))}`), "utf8")).toBe("blob");
});

test("openImageWriter() fills an empty directory", async () => {
  await mkdir(at("empty"));
  await writeSmallImage(`oci:${at("empty")}:v1`);
  expect((await readdir(at("empty"))).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
});

test.each([
  ["oci:/etc", "output.exists"],
  ["oci:/etc/passwd", "output.exists"],
  ["oci:/proc/nowhere/layout", "output.unwritable"],
  ["oci-archive:/proc/x.tar", "output.unwritable"],
  ["oci-archive:/etc/passwd", "output.exists"],
  ["oci:x:@1", "image.reference.not-writable"],
  ["docker-archive:x.tar", "image.transport.unsupported"],
  ["docker://localhost/x", "image.transport.unsupported"],
])("openImageWriter(%s) refuses with %s", async (reference, code) => {
  await expect(openImageWriter(reference)).rejects.toThrow(refused(code));
});

test.runIf(process.getuid?.() === 0).each(TARGETS)(
  "a full file system under %s is told as such, and left clean, as root",
  async (_, transport, name) => {
    const small = at("small");
    await mkdir(small);
    await runCommand(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small]);
    try {
      await using writer = await openImageWriter(`${transport}:${small}/${name}`);
      const put = writer.putBytes(Buffer.alloc(1 << 20), MEDIA_TYPE.layer);
      await expect(put).rejects.toMatchObject({ code: "output.no-space", exitCode: 74 });
      await writer[Symbol.asyncDispose]();
      expect(await readdir(small)).toEqual([]);
    } finally {
      await runCommand(["umount", "-l", small]);
    }
  },
);
