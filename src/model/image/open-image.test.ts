import { appendFile, mkdir, readFile, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { putSmallImage, smallTar, type WrittenImage, writeSmallImage } from "../../../test/small-image.ts";
import {
  blobPath,
  type Descriptor,
  encodeImageIndex,
  type Manifest,
  MEDIA_TYPE,
  toBlobDigest,
} from "../../formats/oci/index.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { runCommand } from "../host-io/command.ts";
import { openTempDir, type TempDir } from "../host-io/temp.ts";
import { hostPlatform } from "./host-platform.ts";
import { openImageWriter } from "./image-writer.ts";
import { openImage } from "./open-image.ts";

let temp: TempDir;
let written: WrittenImage;
let layout: string;
const refused = (code: string) => expect.objectContaining({ code });
const manifest = (): Manifest => JSON.parse(Buffer.from(written.manifestBytes).toString()) as Manifest;
const layer = (index: number): Descriptor => manifest().layers[index] as Descriptor;
const blobFile = ({ digest }: Descriptor): string => `${layout}/${blobPath(digest)}`;

beforeEach(async () => {
  temp = await openTempDir("sealwright-test");
  layout = `${temp.path}/layout`;
  written = await writeSmallImage(`oci:${layout}:v1`);
});
afterEach(async () => await temp[Symbol.asyncDispose]());

/** Stores a document as blob and gives its descriptor. */
async function addBlob(document: unknown, mediaType: string, more: Partial<Descriptor> = {}): Promise<Descriptor> {
  const bytes = Buffer.from(typeof document === "string" ? document : JSON.stringify(document));
  const descriptor = { mediaType, digest: toBlobDigest(bytes), size: bytes.length, ...more };
  await writeFile(blobFile(descriptor), bytes);
  return descriptor;
}

async function setIndex(...manifests: Descriptor[]): Promise<void> {
  await writeFile(`${layout}/index.json`, encodeImageIndex({ schemaVersion: 2, manifests }));
}

test("openImage() gives manifest, config and layers with their places", async () => {
  await using image = await openImage(`oci:${layout}:v1`);
  expect(image.name).toBe(`oci:${layout}:v1`);
  expect(image.manifestDigest).toBe(written.manifest.digest);
  expect(image.manifestBytes).toEqual(written.manifestBytes);
  expect(image.config.architecture).toBe("amd64");
  expect(image.layers.map(({ index, compression, file }) => [index, compression, file])).toEqual([
    [0, "gzip", { path: blobFile(layer(0)), offset: 0, size: layer(0).size }],
    [1, "none", { path: blobFile(layer(1)), offset: 0, size: layer(1).size }],
  ]);
});

test.each([
  ["an absent directory", (d: string) => rm(d, { recursive: true }), "input.not-found"],
  ["no oci-layout", (d: string) => rm(`${d}/oci-layout`), "oci.layout.missing"],
  [
    "another layout version",
    (d: string) => writeFile(`${d}/oci-layout`, '{"imageLayoutVersion":"2"}'),
    "oci.layout.version-unsupported",
  ],
  ["no index.json", (d: string) => rm(`${d}/index.json`), "oci.layout.missing"],
  ["garbage in index.json", (d: string) => writeFile(`${d}/index.json`, "{"), "oci.index.malformed"],
  ["a large index.json", (d: string) => truncate(`${d}/index.json`, 5 << 20), "oci.index.malformed"],
  ["an empty index", () => setIndex(), "image.tag.not-found"],
  ["a missing manifest", () => rm(blobFile(written.manifest)), "image.blob.missing"],
  ["a longer manifest", () => appendFile(blobFile(written.manifest), " "), "image.blob.size-mismatch"],
  [
    "another manifest of the same size",
    () => writeFile(blobFile(written.manifest), Buffer.alloc(written.manifest.size)),
    "image.blob.digest-mismatch",
  ],
  ["a missing config", () => rm(blobFile(manifest().config)), "image.blob.missing"],
  [
    "another config",
    () => writeFile(blobFile(manifest().config), Buffer.alloc(manifest().config.size)),
    "image.blob.digest-mismatch",
  ],
  ["a missing layer", () => rm(blobFile(layer(1))), "image.blob.missing"],
  ["a layer cut short", () => truncate(blobFile(layer(0)), 10), "image.blob.size-mismatch"],
  ["a directory as layer", () => rm(blobFile(layer(0))).then(() => mkdir(blobFile(layer(0)))), "input.not-a-file"],
])("openImage() refuses a layout with %s", async (_, damage, code) => {
  await damage(layout);
  await expect(openImage(`oci:${layout}:v1`)).rejects.toThrow(refused(code));
});

test("openImage() does not wait for a FIFO in the place of a blob", async () => {
  await rm(blobFile(manifest().config));
  await runCommand(["mkfifo", blobFile(manifest().config)]);
  await expect(openImage(`oci:${layout}:v1`)).rejects.toThrow(refused("input.not-a-file"));
});

test("openImage() follows symbolic links to blobs and still checks what they lead to", async () => {
  const file = blobFile(manifest().config);
  await rename(file, `${temp.path}/elsewhere`);
  await symlink(`${temp.path}/elsewhere`, file);
  await using image = await openImage(`oci:${layout}:v1`);
  expect(image.layers).toHaveLength(2);
  await rm(file);
  await symlink("/etc/passwd", file);
  await expect(openImage(`oci:${layout}:v1`)).rejects.toThrow(/image config: found \d+ bytes/);
});

test.each([
  ["a layer that is no tar", { mediaType: "application/vnd.example" }, {}, "oci.layer.media-type-unsupported"],
  [
    "a config of an artifact",
    {},
    { mediaType: "application/vnd.oci.empty.v1+json" },
    "oci.config.media-type-unsupported",
  ],
  ["a huge config", {}, { size: 17 << 20 }, "image.blob.size-mismatch"],
])("openImage() refuses %s", async (_, layerChange, configChange, code) => {
  const { config, layers } = manifest();
  const changed = {
    ...manifest(),
    config: { ...config, ...configChange },
    layers: layers.map((each) => ({ ...each, ...layerChange })),
  };
  await setIndex(await addBlob(changed, MEDIA_TYPE.manifest));
  await expect(openImage(`oci:${layout}`)).rejects.toThrow(refused(code));
});

test("openImage() refuses a config with another number of diff IDs", async () => {
  await setIndex(await addBlob({ ...manifest(), layers: [layer(0)] }, MEDIA_TYPE.manifest));
  await expect(openImage(`oci:${layout}`)).rejects.toThrow(refused("oci.config.diff-ids-mismatch"));
});

test("openImage() refuses a manifest of schema 1", async () => {
  await setIndex(await addBlob({}, "application/vnd.docker.distribution.manifest.v1+prettyjws"));
  await expect(openImage(`oci:${layout}`)).rejects.toThrow(refused("image.not-found"));
  const inner = await addBlob({}, "application/vnd.docker.distribution.manifest.v1+prettyjws");
  await setIndex(await addBlob({ schemaVersion: 2, manifests: [inner] }, MEDIA_TYPE.index));
  await expect(openImage(`oci:${layout}`)).rejects.toThrow(refused("oci.manifest.media-type-unsupported"));
});

test("openImage() names what a layout has when the tag is not there or none was given", async () => {
  await writeSmallImage(`oci:${layout}:v2`, { layers: [[{ other: "x" }, "none"]] });
  await expect(openImage(`oci:${layout}:v3`)).rejects.toThrow(/found v1, v2, expected "v3"/);
  await expect(openImage(`oci:${layout}`)).rejects.toMatchObject({ code: "image.ambiguous", hint: /v1, v2/ });
  await using byPosition = await openImage(`oci:${layout}:@1`);
  await using byDigest = await openImage(`oci:${layout}:@${written.manifest.digest}`);
  expect([byPosition.layers.length, byDigest.layers.length]).toEqual([1, 2]);
});

test("openImage() resolves nested indexes by platform and variant, past attestations", async () => {
  const platforms = ["amd64", "arm64", "arm"];
  const entries: Descriptor[] = [];
  for (const architecture of platforms) {
    await using writer = await openImageWriter(`oci:${layout}:tmp-${architecture}`);
    const image = await putSmallImage(writer, { architecture, layers: [[{ [architecture]: "x" }, "none"]] });
    const variant = architecture === "arm" ? { variant: "v7" } : {};
    entries.push({ ...image.manifest, platform: { os: "linux", architecture, ...variant } });
  }
  const attestation = { ...written.manifest, platform: { os: "unknown", architecture: "unknown" } };
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [attestation, ...entries] };
  const inner = await addBlob(index, MEDIA_TYPE.index);
  await setIndex(await addBlob({ schemaVersion: 2, manifests: [inner] }, MEDIA_TYPE.index));

  for (const [platform, architecture] of [
    ["linux/arm64", "arm64"],
    ["linux/arm64/v8", "arm64"],
    ["linux/arm/v7", "arm"],
  ]) {
    await using image = await openImage(`oci:${layout}`, { platform: platform as string });
    expect(image.config.architecture).toBe(architecture);
  }
  await using host = await openImage(`oci:${layout}`);
  expect(host.config.architecture).toBe(hostPlatform().architecture);
  await expect(openImage(`oci:${layout}`, { platform: "linux/arm/v6" })).rejects.toThrow(
    /found images for unknown\/unknown, linux\/amd64, linux\/arm64, linux\/arm\/v7, expected one for linux\/arm\/v6/,
  );
});

test("openImage() refuses indexes in indexes in indexes", async () => {
  let descriptor = written.manifest;
  for (let depth = 0; depth < 5; depth++) {
    descriptor = await addBlob({ schemaVersion: 2, manifests: [descriptor] }, MEDIA_TYPE.index);
  }
  await setIndex(descriptor);
  await expect(openImage(`oci:${layout}`)).rejects.toThrow(refused("oci.index.too-deep"));
});

test("openImage() refuses the only image when another platform was asked for", async () => {
  await expect(openImage(`oci:${layout}:v1`, { platform: "linux/riscv64" })).rejects.toThrow(
    refused("image.platform.not-found"),
  );
});

test.each([
  ["docker://localhost/os", "image.transport.unsupported"],
  ["dir:/", "image.reference.not-an-image"],
  ["ostree:/repo", "reference.transport.unknown"],
  ["oci:/etc/passwd", "input.not-a-directory"],
  ["oci-archive:/etc", "input.not-a-file"],
  ["oci-archive:/nowhere", "input.not-found"],
  ["docker-archive:/dev/null", "input.not-a-file"],
])("openImage(%s) refuses with %s", async (reference, code) => {
  await expect(openImage(reference)).rejects.toThrow(refused(code));
});

test.each([
  ["gzip", ".gz"],
  ["zstd", ".zst"],
  ["xz", ".xz"],
])("openImage() says that an archive is compressed with %s and how to undo it", async (name, suffix) => {
  const archive = `${temp.path}/x.tar`;
  await writeSmallImage(`oci-archive:${archive}`);
  await runCommand([name, "-q", "-k", archive]);
  await expect(openImage(`oci-archive:${archive}${suffix}`)).rejects.toMatchObject({
    code: "image.archive.compressed",
    message: expect.stringContaining(name) as string,
    hint: expect.stringContaining(`--keep ${archive}${suffix}`) as string,
  });
});

test.each([
  ["no layout", smallTar({ a: "b" }), "oci-archive", "oci.layout.missing"],
  ["no manifest.json", smallTar({ a: "b" }), "docker-archive", "oci.docker-archive.missing"],
  ["a garbled manifest.json", smallTar({ "manifest.json": "[{}]" }), "docker-archive", "oci.docker-archive.malformed"],
  ["no config", smallTar({ "manifest.json": '[{"Config":"c","Layers":[]}]' }), "docker-archive", "image.blob.missing"],
  [
    "a config that climbs out",
    smallTar({ "manifest.json": '[{"Config":"../../../../etc/passwd","Layers":[]}]' }),
    "docker-archive",
    "image.blob.missing",
  ],
  [
    "a config under the name of another",
    smallTar({ "manifest.json": `[{"Config":"${"0".repeat(64)}.json"}]`, [`${"0".repeat(64)}.json`]: "{}" }),
    "docker-archive",
    "image.blob.digest-mismatch",
  ],
  [
    "a member twice",
    Buffer.concat([smallTar({ a: "1" }).subarray(0, 1024), smallTar({ "./a": "2" })]),
    "oci-archive",
    "image.archive.duplicate-member",
  ],
  ["its end cut off", smallTar({ a: "b" }).subarray(0, 700), "oci-archive", "tar.archive.truncated"],
  ["text", Buffer.alloc(1024, "text"), "oci-archive", "tar.number.malformed"],
  ["nothing", new Uint8Array(), "oci-archive", "oci.layout.missing"],
])("openImage() refuses an archive with %s", async (_, bytes, transport, code) => {
  await writeFile(`${temp.path}/bad.tar`, bytes);
  await expect(openImage(`${transport}:${temp.path}/bad.tar`)).rejects.toThrow(refused(code));
});

test("layer.open() refuses a file that became shorter", async () => {
  await using image = await openImage(`oci:${layout}:v1`);
  await truncate(blobFile(layer(1)), 5);
  const read = async (): Promise<void> => {
    for await (const chunk of image.layers[1]?.open() ?? []) expect(chunk.length).toBe(5);
  };
  await expect(read()).rejects.toThrow(refused("input.truncated"));
});

test("openImage() stops when it is told to", async () => {
  await expect(openImage(`oci:${layout}:v1`, { signal: AbortSignal.abort() })).rejects.toThrow(refused("interrupted"));
});

test("openImage() leaves the layout as it is", async () => {
  const before = await runCommand(["find", layout, "-printf", "%p %T@ %s\\n"]);
  await using _ = await openImage(`oci:${layout}:v1`);
  expect((await runCommand(["find", layout, "-printf", "%p %T@ %s\\n"])).stdout).toEqual(before.stdout);
  expect(await readFile(`${layout}/oci-layout`, "utf8")).toBe('{"imageLayoutVersion":"1.0.0"}');
});

test("openImage() answers damaged archives with an image or a refusal", async () => {
  const archive = `${temp.path}/good.tar`;
  await writeSmallImage(`oci-archive:${archive}`);
  await runCommand([
    "skopeo",
    "--insecure-policy",
    "copy",
    "-q",
    `oci:${layout}:v1`,
    `docker-archive:${temp.path}/docker.tar:a:b`,
  ]);
  const seeds = [
    ["oci-archive", await readFile(archive)],
    ["docker-archive", await readFile(`${temp.path}/docker.tar`)],
  ] as const;
  const damaged = `${temp.path}/damaged.tar`;
  const property = fc.asyncProperty(
    fc.constantFrom(...seeds),
    fc.nat(),
    fc.nat(255),
    fc.boolean(),
    async (seed, at, byte, cut) => {
      const [transport, good] = seed;
      const bytes = Buffer.from(cut ? good.subarray(0, at % good.length) : good);
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      await writeFile(damaged, bytes);
      try {
        await using image = await openImage(`${transport}:${damaged}`);
        expect(image.layers).toHaveLength(2);
      } catch (error) {
        expect(error).toBeInstanceOf(SealwrightError);
      }
    },
  );
  await fc.assert(property, { numRuns: 300 });
});
