/** What is said about an image: in a registry that lists referrers, in one that does not, in a layout. */
import { execFile, execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attachImage } from "../../src/actions/attach/attach-image.ts";
import { openSealAttachments } from "../../src/actions/attach/seal-attachments.ts";
import { copyImage } from "../../src/actions/copy/copy-image.ts";
import { listReferrers } from "../../src/actions/referrers/list-referrers.ts";
import { sealImage } from "../../src/actions/seal/seal-image.ts";
import { remarksOn } from "../../src/actions/verify/remarks.ts";
import { verifyImage } from "../../src/actions/verify/verify-image.ts";
import { COMPOSEFS_ARTIFACT_TYPE, formattedDigest } from "../../src/formats/composefs-artifact/index.ts";
import {
  type BlobDigest,
  type Descriptor,
  encodeImageIndex,
  MEDIA_TYPE,
  parseManifest,
  referrersTag,
  toBlobDigest,
} from "../../src/formats/oci/index.ts";
import { openTempDir, type TempDir } from "../../src/model/host-io/temp.ts";
import { streamBytes } from "../../src/model/image/blob.ts";
import { openImageWriter } from "../../src/model/image/image-writer.ts";
import { openImage, openImageSource } from "../../src/model/image/open-image.ts";
import { attachArtifact, type Remark } from "../../src/model/referrers/index.ts";
import { Registries, type Repository } from "../../src/model/registry/index.ts";
import { codeOfAsync } from "../code-of.ts";
import { writeSmallImage } from "../small-image.ts";
import { writeSmallOs } from "../small-os.ts";
import { startOlareg } from "./olareg.ts";
import { startRegistry, TestHome, type TestServer } from "./servers.ts";

const run = promisify(execFile);

const STATUS = `Package: bash
Status: install ok installed
Version: 5.2.15-2+b7
Architecture: amd64

Package: tzdata
Status: install ok installed
Version: 2024a-0+deb12u1
Architecture: all
`;

let temp: TempDir;
let home: TestHome;
let registries: Registries;
let servers: Readonly<Record<string, TestServer>>;
const at = (name: string): string => join(temp.path, name);

beforeAll(async () => {
  temp = await openTempDir();
  home = new TestHome();
  const pacing = { now: () => Date.now(), random: () => 0, sleep: () => Promise.resolve() };
  registries = new Registries({ env: home.env, home: home.path, pacing, tlsVerify: false });
  const database = { "usr/lib/sysimage/": "", "usr/lib/sysimage/dpkg/": "", "usr/lib/sysimage/dpkg/status": STATUS };
  await writeSmallOs(`oci:${at("os")}:base`, { files: database });
  writeKey("signer", generateKeyPairSync("ec", { namedCurve: "P-256" }));
  writeKey("stranger", generateKeyPairSync("ec", { namedCurve: "P-256" }));
  servers = { "docker-registry": await startRegistry(), olareg: await startOlareg() };
}, 180_000);

afterAll(async () => {
  for (const server of Object.values(servers)) await server[Symbol.asyncDispose]();
  await registries[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  await temp[Symbol.asyncDispose]();
});

function writeKey(name: string, { privateKey, publicKey }: ReturnType<typeof generateKeyPairSync>): void {
  writeFileSync(at(`${name}.pem`), privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
  writeFileSync(at(`${name}.pub`), publicKey.export({ format: "pem", type: "spki" }));
}

const keyContext = () => ({ now: new Date(), env: {}, home: home.path });

/** Seals into a place and says everything there is to say. */
async function sealTo(to: string): Promise<string> {
  const sealing = {
    ...keyContext(),
    to,
    registries,
    ephemeralKeys: true,
    writeCertificateTo: at("db.crt"),
  };
  await using attachments = await openSealAttachments(
    { attest: "all", signWith: at("signer.pem"), toolVersion: "1.2.3" },
    sealing,
  );
  const beforeShown = attachments.attach.bind(attachments);
  return (await sealImage(`oci:${at("os")}:base`, { ...sealing, beforeShown })).manifestDigest;
}

const keys = () => ({ registries, keys: [at("signer.pub"), at("db.crt")] });

/** `kind status`, sorted. */
const summary = (remarks: readonly Remark[]): string[] =>
  remarks.map(({ fault, kind, signature }) => `${kind} ${fault?.code ?? signature.status}`).toSorted();

const EVERYTHING = [
  "composefs good",
  "provenance good",
  "sbom good",
  "sbom unsigned",
  "signature good",
  "signature good",
];

describe.each(["docker-registry", "olareg"])("in %s", (name) => {
  let host: string;
  let repository: Repository;

  beforeAll(async () => {
    host = (servers[name] as TestServer).host;
    repository = await registries.writer({ transport: "docker", registry: host, repository: "team/os" });
  });

  test("what a seal says is found, signed, and true", async () => {
    const reference = `${host}/team/os:sealed`;
    const manifestDigest = await sealTo(reference);
    const { subjects } = await listReferrers(reference, keys());
    expect(subjects.map(({ remarks, ...subject }) => ({ ...subject, remarks: summary(remarks) }))).toEqual([
      { manifestDigest, mediaType: MEDIA_TYPE.manifest, remarks: EVERYTHING },
    ]);
    // One of them lists referrers itself, the other needs the tag.
    const tag = referrersTag(manifestDigest as BlobDigest);
    expect((await repository.findManifest(tag)) !== undefined).toBe(name === "docker-registry");
  });

  test("verify reports it, and refuses when what is required is not signed by a given key", async () => {
    const image = `${host}/team/verified:sealed`;
    await sealTo(image);
    const certificates = [at("db.crt")];
    const verdict = await verifyImage(image, { certificates, now: new Date(), registries });
    expect(verdict.holds).toBe(true);
    const options = { certificates, registries, required: "signature,sbom,provenance,composefs" };
    const report = await remarksOn(verdict, { ...options, attestationKeys: [at("signer.pub")] });
    expect(summary(report.remarks)).toEqual(EVERYTHING);
    expect(report.refusal).toBeUndefined();
    const strange = await remarksOn(verdict, { ...options, attestationKeys: [at("stranger.pub")] });
    expect(strange.refusal).toMatchObject({ code: "verify.remark-missing", data: { missing: expect.any(Array) } });
    expect(strange.refusal?.data["missing"]).toEqual(["signature", "provenance", "sbom"]);
    expect(summary(strange.remarks)).toContain("provenance unknown-key");
    expect(await codeOfAsync(() => remarksOn(verdict, { ...options, required: "everything" }))).toBe(
      "verify.require-unknown",
    );
  });

  test("the signature under the tag of cosign is one that OpenSSL verifies", async () => {
    const reference = `${host}/team/tagged:sealed`;
    const manifestDigest = (await sealTo(reference)) as BlobDigest;
    await using source = await openImageSource(reference, { registries });
    const tagged = (await source.tagged(`${referrersTag(manifestDigest)}.sig`)) as Descriptor;
    const [layer] = parseManifest(await readAll((await source.blob(tagged, "signature")).open())).layers;
    const payload = await readAll((await source.blob(layer as Descriptor, "payload")).open());
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual({
      critical: {
        identity: { "docker-reference": `${host}/team/tagged` },
        image: { "docker-manifest-digest": manifestDigest },
        type: "cosign container image signature",
      },
      optional: null,
    });
    writeFileSync(at("payload"), payload);
    writeFileSync(at("sig"), Buffer.from(layer?.annotations?.["dev.cosignproject.cosign/signature"] ?? "", "base64"));
    const verify = (key: string) =>
      run("openssl", ["dgst", "-sha256", "-verify", at(key), "-signature", at("sig"), at("payload")]);
    expect((await verify("signer.pub")).stdout).toContain("Verified OK");
    await expect(verify("stranger.pub")).rejects.toThrow();
  });

  test("copy --referrers carries all of it into a layout and back", async () => {
    const reference = `${host}/team/carried:sealed`;
    await sealTo(reference);
    const layout = `oci:${at(`carried-${name}`)}`;
    expect(await copyImage(reference, `${layout}:t`, { registries, referrers: true })).toMatchObject({ referrers: 6 });
    // The layout still has one image, which needs no tag.
    expect(summary((await listReferrers(layout, keys())).subjects[0]?.remarks ?? [])).toEqual(EVERYTHING);
    const back = `${host}/team/back:sealed`;
    await copyImage(layout, back, { registries, referrers: true });
    expect(summary((await listReferrers(back, keys())).subjects[0]?.remarks ?? [])).toEqual(EVERYTHING);
    const bare = `${host}/team/without:sealed`;
    await copyImage(layout, bare, { registries });
    expect((await listReferrers(bare, keys())).subjects[0]?.remarks).toEqual([]);
  });

  test("attach says things about an image that is there, and adds signatures to those before", async () => {
    const reference = `${host}/team/attached:base`;
    const { manifestDigest } = await copyImage(`oci:${at("os")}:base`, reference, { registries });
    const options = { ...keyContext(), registries, toolVersion: "1.2.3" };
    await attachImage(reference, { ...options, kinds: "signature", key: at("stranger.pem") });
    await attachImage(reference, { ...options, kinds: "sbom,signature", key: at("signer.pem") });
    const { subjects } = await listReferrers(reference, keys());
    expect(subjects[0]?.manifestDigest).toBe(manifestDigest);
    expect(summary(subjects[0]?.remarks ?? [])).toEqual([
      "sbom good",
      "sbom unsigned",
      "signature good",
      "signature good",
      "signature unknown-key",
      "signature unknown-key",
    ]);
  });

  test("of an index every image gets what is asked for, and the index is signed, or nothing is shown", async () => {
    const layout = `oci:${at(`index-${name}`)}`;
    await writeSmallOs(`${layout}:arm64`, { architecture: "arm64" });
    await copyImage(`oci:${at("os")}:base`, `${layout}:amd64`, {});
    const manifests: Descriptor[] = [];
    for (const architecture of ["amd64", "arm64"]) {
      await using image = await openImage(`${layout}:${architecture}`);
      const { manifestBytes, manifestDigest: digest, manifestMediaType: mediaType } = image;
      manifests.push({ mediaType, digest, size: manifestBytes.length, platform: { os: "linux", architecture } });
    }
    await using writer = await openImageWriter(`${layout}:all`);
    const index = encodeImageIndex({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests });
    await writer.commit({ manifestBytes: index, mediaType: MEDIA_TYPE.index });
    const reference = `${host}/team/index:all`;
    await copyImage(`${layout}:all`, reference, { registries, all: true });
    const options = { ...keyContext(), registries, toolVersion: "1.2.3", key: at("signer.pem") };
    const judging = { registries, keys: [at("signer.pub")] };
    const said = async () => (await listReferrers(reference, judging)).subjects.map(({ remarks }) => summary(remarks));

    // The second image has no packages.
    expect(await codeOfAsync(() => attachImage(reference, { ...options, kinds: "sbom" }))).toBe(
      "sbom.packages-missing",
    );
    expect(await said()).toEqual([[], [], []]);
    const report = await attachImage(reference, { ...options, kinds: "all" });
    expect(report.images.flatMap(({ skipped }) => skipped.map(({ code }) => code))).toEqual(["sbom.packages-missing"]);
    const signed = ["signature good", "signature good"];
    expect(await said()).toEqual([
      signed,
      ["composefs unsigned", "sbom good", "sbom unsigned", ...signed],
      ["composefs unsigned", ...signed],
    ]);
  });

  test("what is not about the image counts for nothing", async () => {
    const reference = `${host}/team/false:one`;
    await sealTo(reference);
    const { manifestDigest: other } = await copyImage(`oci:${at("os")}:base`, `${host}/team/false:other`, {
      registries,
    });
    const { layers } = parseManifest((await repositoryAt(host, "team/false")).bytes);
    expect(layers.length).toBe(2);
    await using source = await openImageSource(reference, { registries });
    await using writer = await openImageWriter(`${host}/team/false:x`, { registries });
    const [top] = await source.candidates();
    const about = { mediaType: MEDIA_TYPE.manifest, digest: other as BlobDigest, size: 1 };
    for (const listed of await source.referrers(top?.digest as BlobDigest)) {
      const { bytes } = await (await repositoryOf(host, "team/false")).loadManifest(listed.digest);
      const manifest = parseManifest(bytes);
      const stolen = await Promise.all(
        manifest.layers.map(async ({ annotations, ...layer }) => ({
          bytes: await readAll((await source.blob(layer, "layer")).open()),
          mediaType: layer.mediaType,
          ...(annotations && { annotations }),
        })),
      );
      await attachArtifact(writer, { artifactType: manifest.artifactType ?? "", subject: about, layers: stolen });
    }
    await writer.commitAttached();
    const { subjects } = await listReferrers(`${host}/team/false:other`, keys());
    expect(summary(subjects[0]?.remarks ?? [])).toEqual([
      "other referrers.composefs-differs",
      "other referrers.subject-differs",
      "other referrers.subject-differs",
      "other referrers.subject-differs",
      // A bare SBOM names no image that could be compared.
      "sbom unsigned",
    ]);
  });
});

const repositoryOf = (host: string, repository: string): Promise<Repository> =>
  registries.writer({ transport: "docker", registry: host, repository });

const repositoryAt = async (host: string, repository: string) =>
  await (await repositoryOf(host, repository)).loadManifest("one");

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe("the composefs artifact", () => {
  test("has the digests that fsverity and sealwright digest compute, and signatures that OpenSSL verifies", async () => {
    const layout = `oci:${at("artifact")}`;
    await sealTo(`${layout}:sealed`);
    await using image = await openImage(`${layout}:sealed`);
    await using source = await openImageSource(layout);
    const listed = (await source.referrers(image.manifestDigest)).find(
      ({ artifactType }) => artifactType === COMPOSEFS_ARTIFACT_TYPE,
    );
    const { layers } = parseManifest(await readAll((await source.blob(listed as never, "artifact")).open()));
    const digests = Object.fromEntries(layers.flatMap(({ annotations }) => Object.entries(annotations ?? {})));
    const blob = (digest: string): string => join(at("artifact"), "blobs", digest.replace(":", "/"));
    const measure = async (path: string): Promise<string | undefined> =>
      (await run("fsverity", ["digest", "--hash-alg=sha512", "--compact", path])).stdout.trim();
    const { computeDigests } = await import("../../src/actions/digest/compute-digests.ts");
    expect(digests).toEqual({
      "composefs.manifest.fsverity-sha512-12": await measure(blob(image.manifestDigest)),
      "composefs.config.fsverity-sha512-12": await measure(blob(image.manifest.config.digest)),
      "composefs.merged.erofs.v1.fsverity-sha512-12": (await computeDigests(`${layout}:sealed`, { plain: true }))
        .digests["v1-sha512"],
      "composefs.merged.bootable.erofs.v1.fsverity-sha512-12": (await computeDigests(`${layout}:sealed`)).digests[
        "v1-sha512"
      ],
    });
    for (const [index, hex] of Object.values(digests).entries()) {
      writeFileSync(at("content"), formattedDigest("sha512", Buffer.from(hex, "hex")));
      const signature = blob((layers[index] as { digest: string }).digest);
      const args = ["-verify", "-binary", "-inform", "DER", "-in", signature, "-content", at("content")];
      execFileSync("openssl", ["smime", ...args, "-noverify", "-certfile", at("db.crt"), "-out", "/dev/null"], {
        stdio: "pipe",
      });
    }
  });
});

describe("in a layout", () => {
  test("referrers stand in the index, and a tag goes on meaning the image", async () => {
    const { manifest } = await writeSmallImage(`oci:${at("plain")}:v1`);
    await attachImage(`oci:${at("plain")}:v1`, {
      ...keyContext(),
      kinds: "signature",
      key: at("signer.pem"),
      signAs: "registry.example/os",
      toolVersion: "1",
    });
    const index = JSON.parse(await readFile(at("plain/index.json"), "utf8")) as { manifests: readonly object[] };
    expect(index.manifests).toHaveLength(3);
    await using image = await openImage(`oci:${at("plain")}`);
    expect(image.manifestDigest).toBe(manifest.digest);
    const { subjects } = await listReferrers(`oci:${at("plain")}:v1`, keys());
    expect(subjects[0]?.remarks.map(({ data }) => data["reference"])).toContain("registry.example/os");
  });

  test.each([
    ["an archive", "oci-archive", "attach.transport-unsupported"],
    ["a kind that is none", "kind", "attach.kind-unknown"],
    ["provenance", "provenance", "attach.kind-impossible"],
    ["a signature without key", "signature", "attach.key-missing"],
  ])("attachImage() refuses %s", async (_, what, code) => {
    const reference = what === "oci-archive" ? `oci-archive:${at("no.tar")}` : `oci:${at("os")}:base`;
    const kinds = what === "oci-archive" ? "sbom" : what;
    const attach = () => attachImage(reference, { ...keyContext(), kinds, toolVersion: "1" });
    expect(await codeOfAsync(attach)).toBe(code);
  });

  test("a referrer that cannot be read hides no other", async () => {
    const layout = `oci:${at("broken")}`;
    const { manifest } = await writeSmallImage(`${layout}:v1`);
    await using writer = await openImageWriter(`${layout}:x`);
    for (const bytes of ["not JSON", '{"bomFormat":"CycloneDX","specVersion":"1.6"}']) {
      const mediaType = "application/vnd.cyclonedx+json";
      const layers = [{ bytes: Buffer.from(bytes), mediaType }];
      await attachArtifact(writer, { artifactType: mediaType, subject: manifest, layers });
    }
    await attachArtifact(writer, {
      artifactType: COMPOSEFS_ARTIFACT_TYPE,
      subject: manifest,
      layers: [{ bytes: Buffer.from("{}"), mediaType: MEDIA_TYPE.empty }],
    });
    const tampered = { bytes: Buffer.from('{"spdxVersion":"SPDX-2.3"}'), mediaType: "application/spdx+json" };
    await attachArtifact(writer, { artifactType: tampered.mediaType, subject: manifest, layers: [tampered] });
    await attachArtifact(writer, {
      artifactType: "application/x-else",
      subject: manifest,
      layers: [{ bytes: Buffer.from("x"), mediaType: "text/plain" }],
    });
    await writer.commitAttached();
    const blob = toBlobDigest(tampered.bytes).replace(":", "/");
    writeFileSync(at(`broken/blobs/${blob}`), '{"spdxVersion":"SPDX-2.4"}');
    const { subjects } = await listReferrers(`${layout}:v1`);
    expect(summary(subjects[0]?.remarks ?? [])).toEqual([
      "other composefs.artifact.incomplete",
      "other image.blob.digest-mismatch",
      "other referrers.sbom-malformed",
      "other unsigned",
      "sbom unsigned",
    ]);
  });
});

test("put() of a manifest with a subject is listed by the registry that can, once", async () => {
  const { host } = servers["olareg"] as TestServer;
  const repository = await repositoryOf(host, "team/once");
  const { manifest } = await writeSmallImage(`oci:${at("once")}:v1`);
  await copyImage(`oci:${at("once")}:v1`, `${host}/team/once:v1`, { registries });
  await using writer = await openImageWriter(`${host}/team/once:x`, { registries });
  await writer.putBlob({ mediaType: MEDIA_TYPE.layer }, streamBytes(Buffer.from("x")));
  const layers = [{ bytes: Buffer.from("x"), mediaType: "text/plain" }];
  const { digest } = await attachArtifact(writer, { artifactType: "application/x", subject: manifest, layers });
  await writer.commitAttached();
  expect((await repository.listReferrers(manifest.digest)).map((each) => each.digest)).toEqual([digest]);
});
