import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { computeDigests } from "../../src/actions/digest/compute-digests.ts";
import type { SealOptions } from "../../src/actions/seal/seal-image.ts";
import type { SealIndexReport } from "../../src/actions/seal-index/report.ts";
import { sealReference } from "../../src/actions/seal-index/seal-index.ts";
import { verifyImage } from "../../src/actions/verify/verify-image.ts";
import { type Descriptor, encodeImageIndex, type ImageIndex, MEDIA_TYPE } from "../../src/formats/oci/index.ts";
import { openTempDir, type TempDir } from "../../src/model/host-io/temp.ts";
import { openImageWriter } from "../../src/model/image/image-writer.ts";
import { openImage } from "../../src/model/image/open-image.ts";
import { Registries } from "../../src/model/registry/index.ts";
import { codeOfAsync } from "../code-of.ts";
import { putSmallImage } from "../small-image.ts";
import { writeSmallOs } from "../small-os.ts";
import { startRegistry, TestHome, type TestRegistry } from "./servers.ts";

const run = promisify(execFile);

let temp: TempDir;
let registry: TestRegistry;
let home: TestHome;
let registries: Registries;
let base: ImageIndex;

const at = (name: string): string => join(temp.path, name);

beforeAll(async () => {
  temp = await openTempDir();
  registry = await startRegistry();
  home = new TestHome();
  const pacing = { now: () => Date.now(), random: () => 0, sleep: () => Promise.resolve() };
  registries = new Registries({ env: home.env, home: home.path, pacing, tlsVerify: false });
  base = await writeIndex(`oci:${at("base")}`, ["amd64", "arm64"]);
});

afterAll(async () => {
  await registries[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  await registry[Symbol.asyncDispose]();
  await temp[Symbol.asyncDispose]();
});

const linux = (architecture: string) => ({ os: "linux", architecture });

/** Images that can be sealed, one of another platform, one that is no OS, and what a builder says about the first. */
async function writeIndex(layout: string, architectures: readonly string[]): Promise<ImageIndex> {
  const manifests: Descriptor[] = [];
  for (const architecture of architectures) {
    await writeSmallOs(`${layout}:${architecture}`, { architecture });
    await using image = await openImage(`${layout}:${architecture}`);
    const { manifestBytes, manifestDigest: digest, manifestMediaType: mediaType } = image;
    manifests.push({ mediaType, digest, size: manifestBytes.length, platform: linux(architecture) });
  }
  const others: readonly [string, object][] = [
    ["s390x", { platform: linux("s390x") }],
    ["amd64", { platform: { os: "windows", architecture: "amd64" } }],
    ["amd64", { platform: { ...linux("amd64"), variant: "v3" } }],
  ];
  for (const [index, [architecture, members]] of others.entries()) {
    const layers = [[{ other: String(index) }, "gzip"]] as const;
    manifests.push({ ...(await attachSmallImage(layout, { architecture, layers })), ...members });
  }
  const about = { "vnd.docker.reference.type": "attestation-manifest" };
  const attestation = await attachSmallImage(layout, { layers: [[{ slsa: "x" }, "none"]] });
  manifests.push({ ...attestation, platform: { os: "unknown", architecture: "unknown" }, annotations: about });
  await using writer = await openImageWriter(`${layout}:index`);
  const index: ImageIndex = { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests, annotations: { kept: "yes" } };
  await writer.commit({ manifestBytes: encodeImageIndex(index), mediaType: MEDIA_TYPE.index });
  return index;
}

async function attachSmallImage(layout: string, image: Parameters<typeof putSmallImage>[1]): Promise<Descriptor> {
  await using writer = await openImageWriter(`${layout}:small`);
  return (await putSmallImage(writer, image)).manifest;
}

const options = (to: string, more: Partial<SealOptions> = {}): SealOptions => ({
  to,
  registries,
  ephemeralKeys: true,
  writeCertificateTo: at("db.crt"),
  now: new Date(),
  env: {},
  home: home.path,
  ...more,
});

const seal = async (to: string): Promise<SealIndexReport> =>
  (await sealReference(`oci:${at("base")}:index`, options(to))) as SealIndexReport;

test("sealReference() seals what can be sealed of an index in a registry and says why it keeps the rest", async () => {
  const to = `${registry.host}/team/os:sealed`;
  const report = await seal(to);
  expect(report.sealed.map(({ platform }) => platform)).toEqual(["linux/amd64", "linux/arm64"]);
  expect(report.kept.map(({ code, platform }) => `${platform} ${code}`)).toEqual([
    "linux/s390x image.architecture-unsupported",
    "windows/amd64 seal.index.not-linux",
    "linux/amd64/v3 image.directory-missing",
    "unknown/unknown seal.index.attestation",
  ]);

  const { stdout } = await run("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${to}`]);
  const index = JSON.parse(stdout) as ImageIndex;
  expect(index.annotations).toEqual({ kept: "yes", "org.opencontainers.image.base.digest": report.sourceIndex });
  expect(index.manifests.slice(2)).toEqual(base.manifests.slice(2));
  expect(index.manifests.map(({ platform }) => platform)).toEqual(base.manifests.map(({ platform }) => platform));

  for (const { platform = "", report: image } of report.sealed) {
    const verdict = await verifyImage(to, { certificates: [at("db.crt")], now: new Date(), registries, platform });
    expect(verdict).toMatchObject({ holds: true, manifestDigest: image.manifestDigest });
    expect((await computeDigests(to, { registries, platform })).digests).toEqual(image.digests);
  }
});

test("sealReference() writes an index that skopeo copies with all its images", async () => {
  const to = `${registry.host}/team/os:copied`;
  const report = await seal(to);
  await run("skopeo", ["copy", "--all", "--quiet", "--src-tls-verify=false", `docker://${to}`, `dir:${at("copied")}`]);
  const index = JSON.parse(await readFile(at("copied/manifest.json"), "utf8")) as ImageIndex;
  expect(index.manifests.map(({ digest }) => digest)).toEqual([
    ...report.sealed.map(({ report: image }) => image.manifestDigest),
    ...report.kept.map(({ digest }) => digest),
  ]);
});

test.each(["oci", "oci-archive"])("sealReference() seals an index into %s", async (transport) => {
  const path = at(`sealed.${transport}`);
  const report = await seal(`${transport}:${path}:all`);
  for (const { platform = "", report: image } of report.sealed) {
    await using sealed = await openImage(`${transport}:${path}:all`, { platform });
    expect(sealed.manifestDigest).toBe(image.manifestDigest);
  }
  const [os, architecture] = ["linux", "arm64"];
  const override = ["--override-os", os, "--override-arch", architecture];
  await run("skopeo", [...override, "copy", "--quiet", `${transport}:${path}:all`, `oci:${path}-one:t`]);
  await run("umoci", ["unpack", "--rootless", "--image", `${path}-one:t`, `${path}-bundle`]);
  const hello = await readFile(`${path}-bundle/rootfs/boot/EFI/Linux/6.12.0-test.efi`);
  expect(hello.subarray(0, 2).toString()).toBe("MZ");
});

test("sealReference() seals one platform alone when it is named", async () => {
  const to = `oci:${at("one")}:t`;
  const report = await sealReference(`oci:${at("base")}:index`, options(to, { platform: "linux/arm64" }));
  expect("sealed" in report).toBe(false);
  await using image = await openImage(to);
  expect(image.config.architecture).toBe("arm64");
});

test("sealReference() refuses an index without any image it can seal, and shows nothing", async () => {
  await writeIndex(`oci:${at("none")}`, []);
  const to = `oci:${at("nothing")}`;
  expect(await codeOfAsync(() => sealReference(`oci:${at("none")}:index`, options(to)))).toBe(
    "seal.index.nothing-sealable",
  );
  expect(await codeOfAsync(() => openImage(to))).toBe("input.not-found");
});

test("sealReference() keeps the kind of a list of Docker", async () => {
  const layout = `oci:${at("docker")}`;
  await writeSmallOs(`${layout}:one`, { family: "docker" });
  await using image = await openImage(`${layout}:one`);
  const { manifestBytes, manifestDigest: digest, manifestMediaType: mediaType } = image;
  const manifests = [{ mediaType, digest, size: manifestBytes.length, platform: linux("amd64") }];
  const list = encodeImageIndex({ schemaVersion: 2, mediaType: MEDIA_TYPE.dockerIndex, manifests });
  {
    await using writer = await openImageWriter(`${layout}:list`);
    await writer.commit({ manifestBytes: list, mediaType: MEDIA_TYPE.dockerIndex });
  }
  const to = `${registry.host}/docker/list:one`;
  const report = (await sealReference(`${layout}:list`, options(to))) as SealIndexReport;
  expect(report.mediaType).toBe(MEDIA_TYPE.dockerIndex);
  const { stdout } = await run("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${to}`]);
  expect(JSON.parse(stdout)).not.toHaveProperty("annotations");
});
