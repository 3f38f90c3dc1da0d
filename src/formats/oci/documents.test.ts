import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FormatError } from "../../lib/errors.ts";
import { encodeImageConfig, layerHistory, parseImageConfig, requireDiffIds } from "./config.ts";
import { parseBlobDigest, toBlobDigest } from "./digest.ts";
import { parseDockerArchiveManifest } from "./docker-archive.ts";
import { encodeImageIndex, MAX_MANIFEST_SIZE, parseImageIndex } from "./image-index.ts";
import { checkLayoutFile } from "./layout.ts";
import { encodeManifest, parseManifest } from "./manifest.ts";
import { layerCompression, layerMediaType, MEDIA_TYPE } from "./media-types.ts";
import { matchesPlatform, parsePlatform, showPlatform } from "./platform.ts";

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const refusal = (code: string) => expect.objectContaining({ code });

const digest = toBlobDigest(Buffer.from("x"));
const layer = { mediaType: MEDIA_TYPE.layerGzip, digest, size: 1, "x-unknown": [1] };
const config = { mediaType: MEDIA_TYPE.config, digest, size: 1 };
const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers: [layer], zz: { y: 1 } };
const index = { schemaVersion: 2, manifests: [{ ...config, mediaType: MEDIA_TYPE.manifest }] };
const imageConfig = {
  architecture: "amd64",
  os: "linux",
  config: { Labels: { a: "b" }, Cmd: null, Healthcheck: { Interval: 30_000_000_000 } },
  rootfs: { type: "layers", diff_ids: [digest] },
  history: [{ created_by: "ENV", empty_layer: true }, { created_by: "RUN x" }],
  "moby.buildkit.buildinfo.v1": "kept",
};

test.each([
  ["manifest", parseManifest, encodeManifest, manifest],
  ["index", parseImageIndex, encodeImageIndex, index],
  ["config", parseImageConfig, encodeImageConfig, imageConfig],
] as const)("the codec of the %s keeps members it does not know", (_, parse, encode, value) => {
  const parsed = (parse as (b: Uint8Array) => unknown)(bytes(value));
  expect(parsed).toEqual(value);
  const encoded = (encode as (v: unknown) => Uint8Array)(parsed);
  expect(JSON.parse(Buffer.from(encoded).toString())).toEqual(value);
  expect((parse as (b: Uint8Array) => unknown)(encoded)).toEqual(value);
});

test.each([
  ["an array", [], "oci.manifest.malformed"],
  ["null", null, "oci.manifest.malformed"],
  ["schema 1", { ...manifest, schemaVersion: 1 }, "oci.manifest.malformed"],
  ["the media type of an index", { ...manifest, mediaType: MEDIA_TYPE.index }, "oci.manifest.malformed"],
  ["an index as well", { ...manifest, manifests: [] }, "oci.manifest.malformed"],
  ["no config", { ...manifest, config: undefined }, "oci.manifest.malformed"],
  ["layers that are no list", { ...manifest, layers: {} }, "oci.manifest.malformed"],
  ["4097 layers", { ...manifest, layers: Array.from({ length: 4097 }, () => layer) }, "oci.manifest.malformed"],
  ["a negative size", { ...manifest, layers: [{ ...layer, size: -1 }] }, "oci.manifest.malformed"],
  ["a fraction as size", { ...manifest, layers: [{ ...layer, size: 0.5 }] }, "oci.manifest.malformed"],
  ["a size past 2^53", { ...manifest, layers: [{ ...layer, size: 2 ** 53 }] }, "oci.manifest.malformed"],
  ["a number as annotation", { ...manifest, annotations: { a: 1 } }, "oci.manifest.malformed"],
  [
    "a path as digest",
    { ...manifest, config: { ...config, digest: "sha256:../../etc/passwd" } },
    "oci.digest.malformed",
  ],
  [
    "an upper-case digest",
    { ...manifest, config: { ...config, digest: digest.toUpperCase() } },
    "oci.digest.malformed",
  ],
  ["a short digest", { ...manifest, layers: [{ ...layer, digest: "sha256:00" }] }, "oci.digest.malformed"],
  [
    "an unknown algorithm",
    { ...manifest, config: { ...config, digest: `md5:${"0".repeat(32)}` } },
    "oci.digest.malformed",
  ],
  ["a digest with a newline", { ...manifest, config: { ...config, digest: `${digest}\n` } }, "oci.digest.malformed"],
])("parseManifest() refuses %s", (_, value, code) => {
  expect(() => parseManifest(bytes(value))).toThrow(refusal(code));
});

test("parseManifest() names the place, what it found and what it wants", () => {
  const wrong = { ...manifest, layers: [layer, { ...layer, size: "12" }] };
  expect(() => parseManifest(bytes(wrong), "oci:x: manifest")).toThrow(
    'oci:x: manifest: layers[1].size: found "12", expected number',
  );
});

test.each([
  ["no list", { schemaVersion: 2 }, "oci.index.malformed"],
  ["a manifest as well", { ...index, layers: [] }, "oci.index.malformed"],
  ["a digest that climbs", { ...index, manifests: [{ ...config, digest: "../x" }] }, "oci.digest.malformed"],
  [
    "a platform without os",
    { ...index, manifests: [{ ...config, platform: { architecture: "x" } }] },
    "oci.index.malformed",
  ],
])("parseImageIndex() refuses %s", (_, value, code) => {
  expect(() => parseImageIndex(bytes(value))).toThrow(refusal(code));
});

test("parseImageIndex() refuses more than 4 MiB before it looks at them", () => {
  expect(() => parseImageIndex(Buffer.alloc(MAX_MANIFEST_SIZE + 1))).toThrow(refusal("oci.index.malformed"));
});

test.each([
  ["no rootfs", { ...imageConfig, rootfs: undefined }, "oci.config.malformed"],
  ["another kind of rootfs", { ...imageConfig, rootfs: { type: "windows", diff_ids: [] } }, "oci.config.malformed"],
  ["labels that are no strings", { ...imageConfig, config: { Labels: { a: {} } } }, "oci.config.malformed"],
  ["a diff ID that is none", { ...imageConfig, rootfs: { type: "layers", diff_ids: ["x"] } }, "oci.digest.malformed"],
])("parseImageConfig() refuses %s", (_, value, code) => {
  expect(() => parseImageConfig(bytes(value))).toThrow(refusal(code));
});

test("requireDiffIds() refuses another number of layers", () => {
  const two = parseManifest(bytes({ ...manifest, layers: [layer, layer] }));
  const parsed = parseImageConfig(bytes(imageConfig));
  expect(requireDiffIds(parsed, parseManifest(bytes(manifest)))).toEqual([digest]);
  expect(() => requireDiffIds(parsed, two)).toThrow(refusal("oci.config.diff-ids-mismatch"));
});

test("layerHistory() skips entries without a layer, and says nothing when the numbers differ", () => {
  expect(layerHistory(parseImageConfig(bytes(imageConfig)))).toEqual([{ created_by: "RUN x" }]);
  const shorter = { ...imageConfig, history: [] };
  expect(layerHistory(parseImageConfig(bytes(shorter)))).toEqual([undefined]);
});

test.each([
  ["[{}]", "oci.docker-archive.malformed"],
  ['{"Config":"x"}', "oci.docker-archive.malformed"],
  ['[{"Config":"x","Layers":[1]}]', "oci.docker-archive.malformed"],
])("parseDockerArchiveManifest() refuses %s", (text, code) => {
  expect(() => parseDockerArchiveManifest(Buffer.from(text))).toThrow(refusal(code));
});

test.each([
  ['{"imageLayoutVersion":"2.0.0"}', "oci.layout.version-unsupported"],
  ["{}", "oci.layout.malformed"],
  ["", "oci.layout.malformed"],
])("checkLayoutFile() refuses %s", (text, code) => {
  expect(() => checkLayoutFile(Buffer.from(text))).toThrow(refusal(code));
});

test.each([
  ["application/vnd.oci.image.layer.v1.tar", "none"],
  ["application/vnd.oci.image.layer.v1.tar+gzip", "gzip"],
  ["application/vnd.oci.image.layer.v1.tar+zstd", "zstd"],
  ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip"],
  ["application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip"],
  ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip"],
])("layerCompression(%s) is %s", (mediaType, expected) => {
  expect(layerCompression(mediaType, "layer 0")).toBe(expected);
});

test.each([
  ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted"],
  ["application/vnd.oci.image.layer.v1.tar+bzip2"],
  ["application/vnd.in-toto+json"],
  ["constructor"],
])("layerCompression(%s) refuses", (mediaType) => {
  expect(() => layerCompression(mediaType, "layer 0")).toThrow(refusal("oci.layer.media-type-unsupported"));
});

test("layerMediaType() stays in the family of the manifest", () => {
  expect(layerMediaType(MEDIA_TYPE.manifest, "zstd")).toBe(MEDIA_TYPE.layerZstd);
  expect(layerMediaType(MEDIA_TYPE.dockerManifest, "gzip")).toBe(MEDIA_TYPE.dockerLayerGzip);
  expect(() => layerMediaType(MEDIA_TYPE.dockerManifest, "zstd")).toThrow(refusal("oci.layer.media-type-unsupported"));
});

test.each([
  ["linux/arm64", "linux/arm64", true],
  ["linux/arm64", "linux/arm64/v8", true],
  ["linux/arm64/v8", "linux/arm64", true],
  ["linux/arm64/v8", "linux/arm64/v9", false],
  ["linux/arm/v6", "linux/arm/v7", false],
  ["linux/amd64/v3", "linux/amd64", true],
  ["linux/amd64", "linux/amd64/v3", false],
  ["windows/amd64", "linux/amd64", false],
])("an image for %s on %s: %s", (offered, wanted, expected) => {
  expect(matchesPlatform(parsePlatform(offered), parsePlatform(wanted))).toBe(expected);
  expect(showPlatform(parsePlatform(offered))).toBe(offered);
});

test.each(["", "linux", "linux/", "linux/amd64/v1/x", "Linux/amd64", "linux/amd64 "])(
  "parsePlatform(%j) refuses",
  (text) => {
    expect(() => parsePlatform(text)).toThrow(refusal("platform.malformed"));
  },
);

test("parseBlobDigest() refuses what is no digest", () => {
  expect(parseBlobDigest(digest, "x")).toBe(digest);
  expect(() => parseBlobDigest("sha256:", "x")).toThrow(refusal("oci.digest.malformed"));
});

test("every parser answers mutated documents with a value or a FormatError", () => {
  const seeds = [manifest, index, imageConfig, [{ Config: "c", RepoTags: ["a:b"], Layers: ["l"] }]].map(bytes);
  const parsers = [parseManifest, parseImageIndex, parseImageConfig, parseDockerArchiveManifest, checkLayoutFile];
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.nat(), fc.nat(255), fc.nat(3), (seed, at, byte, cut) => {
      const mutated = Buffer.from(seed.subarray(0, seed.length - (cut === 0 ? at % seed.length : 0)));
      if (mutated.length > 0) mutated[at % mutated.length] = byte;
      for (const parse of parsers) {
        try {
          parse(mutated);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }
    }),
    { numRuns: 500 },
  );
});
