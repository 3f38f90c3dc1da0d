/** What other tools write we read, and what we write they read. */
import { readFile, writeFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { twoLayers, type WrittenImage, writeSmallImage } from "../../../test/small-image.ts";
import { blobPath, toBlobDigest } from "../../formats/oci/index.ts";
import { runCommand } from "../host-io/command.ts";
import { openTempDir, type TempDir } from "../host-io/temp.ts";
import type { Image } from "./image.ts";
import { openImageWriter } from "./image-writer.ts";
import { openImage } from "./open-image.ts";

let temp: TempDir;
let written: WrittenImage;
const at = (name: string): string => `${temp.path}/${name}`;

async function run(program: string, ...args: string[]): Promise<string> {
  return Buffer.from((await runCommand([program, ...args])).stdout).toString();
}
const skopeo = (...args: string[]): Promise<string> => run("skopeo", "--insecure-policy", ...args);

/** The uncompressed tar of each layer, checked against blob digest and diff ID. */
async function layerTars(image: Image): Promise<Uint8Array[]> {
  const tars: Uint8Array[] = [];
  for (const layer of image.layers) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of layer.open()) chunks.push(chunk);
    const stored = Buffer.concat(chunks);
    expect(stored.length).toBe(layer.size);
    expect(toBlobDigest(stored)).toBe(layer.digest);
    const { path, offset, size } = layer.file as NonNullable<typeof layer.file>;
    expect((await readFile(path)).subarray(offset, offset + size)).toEqual(stored);
    const tar = layer.compression === "gzip" ? gunzipSync(stored) : stored;
    expect(toBlobDigest(tar)).toBe(layer.diffId);
    tars.push(tar);
  }
  return tars;
}

beforeAll(async () => {
  temp = await openTempDir("sealwright-test");
  written = await writeSmallImage(`oci:${at("ours")}:v1`);
});
afterAll(async () => await temp[Symbol.asyncDispose]());

test("skopeo reads the manifest and config of our layout", async () => {
  const raw = await skopeo("inspect", "--raw", `oci:${at("ours")}:v1`);
  expect(toBlobDigest(Buffer.from(raw))).toBe(written.manifest.digest);
  const inspected = JSON.parse(await skopeo("inspect", `oci:${at("ours")}:v1`)) as Record<string, unknown>;
  expect(inspected).toMatchObject({ Digest: written.manifest.digest, Labels: { "containers.bootc": "1" } });
});

test.each([
  ["oci", "copy-oci:v1", []],
  ["oci-archive", "copy.oci.tar:v1", []],
  ["docker-archive", "copy.docker.tar:localhost/os:v1", []],
  ["oci", "copy-docker-types:v1", ["--format", "v2s2"]],
])("what skopeo copies from our layout to %s we read again", async (transport, name, flags) => {
  const target = `${transport}:${at(name)}`;
  await skopeo("copy", "-q", ...flags, `oci:${at("ours")}:v1`, target);
  await using ours = await openImage(`oci:${at("ours")}:v1`);
  await using image = await openImage(target);
  expect(image.config).toMatchObject(ours.config);
  expect(image.layers.map(({ diffId }) => diffId)).toEqual(written.diffIds);
  expect(image.layers.map(({ createdBy }) => createdBy)).toEqual(["COPY layer 0", "COPY layer 1"]);
  expect(await layerTars(image)).toEqual(await layerTars(ours));
});

test.each([
  ["oci", "again"],
  ["oci-archive", "again.tar"],
])("skopeo copies everything from our %s", async (transport, name) => {
  await writeSmallImage(`${transport}:${at(name)}:v1`);
  await skopeo("copy", "-q", `${transport}:${at(name)}:v1`, `dir:${at(`${name}.dir`)}`);
  expect(toBlobDigest(await readFile(at(`${name}.dir/manifest.json`)))).toBe(written.manifest.digest);
});

test("tar lists our archive, and what it extracts is a layout that umoci unpacks", async () => {
  await writeSmallImage(`oci-archive:${at("plain.tar")}:v1`);
  const [layer0 = ""] = (await run("tar", "-tf", at("plain.tar"))).split("\n").slice(3);
  expect(layer0).toMatch(/^blobs\/sha256\/[0-9a-f]{64}$/);
  await run("mkdir", at("extracted"));
  await run("tar", "-xf", at("plain.tar"), "-C", at("extracted"));
  await run("umoci", "unpack", "--image", `${at("extracted")}:v1`, at("bundle"));
  expect(await readFile(at("bundle/rootfs/usr-two"), "utf8")).toBe("two");
});

test("umoci adds to our layout, and we read what it made", async () => {
  await writeSmallImage(`oci:${at("umoci")}:base`);
  await run("umoci", "config", "--image", `${at("umoci")}:base`, "--tag", "more", "--config.label", "a=b");
  await run("umoci", "insert", "--image", `${at("umoci")}:more`, at("ours/oci-layout"), "/inserted");
  await using image = await openImage(`oci:${at("umoci")}:more`);
  expect(image.config.config?.Labels).toEqual({ "containers.bootc": "1", a: "b" });
  expect(image.layers).toHaveLength(3);
  await layerTars(image);
});

test("our writer adds an image to a layout of umoci and keeps the other", async () => {
  await run("umoci", "init", "--layout", at("theirs"));
  await run("umoci", "new", "--image", `${at("theirs")}:empty`);
  await writeSmallImage(`oci:${at("theirs")}:v1`);
  const tags = await run("umoci", "list", "--layout", at("theirs"));
  expect(tags.trim().split("\n").toSorted()).toEqual(["empty", "v1"]);
  await using empty = await openImage(`oci:${at("theirs")}:empty`);
  expect(empty.layers).toEqual([]);
});

test("a docker archive with gzip layers, links between layers and two images is read in place", async () => {
  // The layout of docker save before version 25, with what other tools made of it.
  const save = at("save");
  await run("mkdir", "-p", `${save}/a`, `${save}/b`);
  await skopeo("copy", "-q", `oci:${at("ours")}:v1`, `docker-archive:${at("one.tar")}:os:v1`);
  await run("tar", "-xf", at("one.tar"), "-C", save);
  const [entry] = JSON.parse(await readFile(`${save}/manifest.json`, "utf8")) as [{ Config: string; Layers: string[] }];
  const [first = "", second = ""] = entry.Layers;
  await run("sh", "-c", `cd ${save} && gzip -n < ${first} > a/layer.tar && ln -s ../${second} b/layer.tar`);
  const images = [
    { ...entry, RepoTags: ["os:v1"] },
    { Config: entry.Config, RepoTags: ["docker.io/library/os:latest"], Layers: ["a/layer.tar", "b/layer.tar"] },
  ];
  await run("sh", "-c", `printf %s "$1" > ${save}/manifest.json`, "sh", JSON.stringify(images));
  await run("tar", "-cf", at("two.tar"), "-C", save, ".");

  await expect(openImage(`docker-archive:${at("two.tar")}`)).rejects.toMatchObject({ code: "image.ambiguous" });
  await expect(openImage(`docker-archive:${at("two.tar")}:other`)).rejects.toMatchObject({
    code: "image.tag.not-found",
  });
  await using plain = await openImage(`docker-archive:${at("two.tar")}:@0`);
  await using linked = await openImage(`docker-archive:${at("two.tar")}:os`);
  expect(linked.layers.map(({ compression }) => compression)).toEqual(["gzip", "none"]);
  expect(await layerTars(linked)).toEqual(await layerTars(plain));
});

test("a docker archive that is a layout too, as since Docker 25, is read by both names", async () => {
  const both = at("both");
  await run("mkdir", both);
  await writeSmallImage(`oci-archive:${at("both.oci.tar")}:v1`);
  await run("tar", "-xf", at("both.oci.tar"), "-C", both);
  await using layout = await openImage(`oci:${both}`);
  const [Config, ...Layers] = [layout.manifest.config, ...layout.layers].map(({ digest }) => blobPath(digest));
  await writeFile(`${both}/manifest.json`, JSON.stringify([{ Config, RepoTags: null, Layers }]));
  await run("tar", "-cf", at("both.tar"), "-C", both, "blobs", "index.json", "manifest.json", "oci-layout");
  await using oci = await openImage(`oci-archive:${at("both.tar")}`);
  await using docker = await openImage(`docker-archive:${at("both.tar")}`);
  expect(docker.layers.map(({ digest }) => digest)).toEqual(oci.layers.map(({ digest }) => digest));
  expect(await layerTars(docker)).toEqual(await layerTars(oci));
});

test("copyBlob() carries layers over as they are", async () => {
  await using image = await openImage(`oci:${at("ours")}:v1`);
  for (const target of [`oci:${at("copied")}:v1`, `oci-archive:${at("copied.tar")}:v1`]) {
    await using writer = await openImageWriter(target);
    for (const layer of image.layers) await writer.copyBlob(layer);
    await writer.putBytes(image.configBytes, image.manifest.config.mediaType);
    await writer.commit({ manifestBytes: image.manifestBytes, mediaType: image.manifestMediaType });
    await using copy = await openImage(target);
    expect(copy.manifestDigest).toBe(image.manifestDigest);
    expect(await layerTars(copy)).toHaveLength(twoLayers.length);
  }
});

test("zstd layers and Docker media types are told by the media type", async () => {
  await writeSmallImage(`oci:${at("zstd")}:v1`, { layers: [[{ a: "b" }, "zstd"]] });
  await writeSmallImage(`oci:${at("docker")}:v1`, { family: "docker" });
  await using zstd = await openImage(`oci:${at("zstd")}`);
  await using docker = await openImage(`oci:${at("docker")}`);
  expect(zstd.layers.map(({ compression }) => compression)).toEqual(["zstd"]);
  expect(docker.layers.map(({ compression }) => compression)).toEqual(["gzip", "none"]);
});
