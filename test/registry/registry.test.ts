import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyImage } from "../../src/actions/copy/copy-image.ts";
import { computeDigests } from "../../src/actions/digest/compute-digests.ts";
import { sealImage } from "../../src/actions/seal/seal-image.ts";
import { verifyImage } from "../../src/actions/verify/verify-image.ts";
import { encodeImageIndex, MEDIA_TYPE } from "../../src/formats/oci/index.ts";
import { openTempDir, type TempDir } from "../../src/model/host-io/temp.ts";
import { readBlob } from "../../src/model/image/blob.ts";
import { openImageWriter } from "../../src/model/image/image-writer.ts";
import { openImage, openImageSource } from "../../src/model/image/open-image.ts";
import { Registries, type RegistriesOptions } from "../../src/model/registry/index.ts";
import { codeOfAsync } from "../code-of.ts";
import { putSmallImage, type SmallImage, twoLayers, writeSmallImage } from "../small-image.ts";
import { writeSmallOs } from "../small-os.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import {
  basicEntry,
  startRegistry,
  startTokenService,
  TestHome,
  type TestRegistry,
  type TokenService,
} from "./servers.ts";

const run = promisify(execFile);

/** Tests wait for nothing but the servers. */
const pacing = { now: () => Date.now(), random: () => 0, sleep: () => Promise.resolve() };

function connect(home: TestHome, options: Partial<RegistriesOptions> = {}): Registries {
  return new Registries({ env: home.env, home: home.path, pacing, ...options });
}

async function push(reference: string, registries: Registries): Promise<string> {
  await using writer = await openImageWriter(reference, { registries });
  return (await putSmallImage(writer)).manifest.digest;
}

/** Reads every byte and compares the digests. */
async function pull(reference: string, registries: Registries): Promise<string> {
  await using image = await openImage(reference, { registries });
  for (const layer of image.layers) await readBlob(layer, layer.open(), layer.digest);
  return image.manifestDigest;
}

describe("a registry with TLS of a private authority and an account", () => {
  let registry: TestRegistry;
  let home: TestHome;

  beforeAll(async () => {
    registry = await startRegistry({ tls: true, basic: ["user", "pass:word"] });
  });

  afterAll(() => registry[Symbol.asyncDispose]());

  const prepare = (trusted: boolean, entry?: Readonly<Record<string, string>>): TestHome => {
    home = new TestHome();
    if (trusted) home.trust(registry.host, registry.authority as string);
    if (entry) home.logIn(registry.host, entry);
    return home;
  };

  test("takes an image, which skopeo reads and copies; what skopeo wrote is read", async () => {
    using _ = prepare(true, basicEntry("user", "pass:word"));
    await using registries = connect(home);
    const reference = `${registry.host}/some/where/os:one`;
    const digest = await push(reference, registries);
    expect(await pull(reference, registries)).toBe(digest);
    const skopeo = [
      "--cert-dir",
      join(home.path, "config/containers/certs.d", registry.host),
      "--creds",
      "user:pass:word",
    ];
    const { stdout } = await run("skopeo", ["inspect", ...skopeo, `docker://${reference}`]);
    expect((JSON.parse(stdout) as { Digest: string }).Digest).toBe(digest);
    await using temp = await openTempDir();
    await run("skopeo", [
      "copy",
      "--preserve-digests",
      "--src-cert-dir",
      skopeo[1] as string,
      "--src-creds",
      "user:pass:word",
      `docker://${reference}`,
      `oci:${temp.path}/a:t`,
    ]);
    expect(await pull(`oci:${temp.path}/a:t`, registries)).toBe(digest);
    const back = `${registry.host}/from/skopeo:two`;
    await run("skopeo", [
      "copy",
      "--preserve-digests",
      "--dest-cert-dir",
      skopeo[1] as string,
      "--dest-creds",
      "user:pass:word",
      `oci:${temp.path}/a:t`,
      `docker://${back}`,
    ]);
    expect(await pull(`docker://${back}`, registries)).toBe(digest);
  });

  test.each([
    ["no authority", false, basicEntry("user", "pass:word"), "registry.tls"],
    ["no credentials", true, undefined, "registry.unauthorized"],
    ["another password", true, basicEntry("user", "password"), "registry.unauthorized"],
  ] as const)("refuses a client with %s", async (_, trusted, entry, code) => {
    using _home = prepare(trusted, entry);
    await using registries = connect(home);
    expect(await codeOfAsync(() => pull(`${registry.host}/some/where/os:one`, registries))).toBe(code);
  });

  test("is read without its authority when --tls-verify=false says so", async () => {
    using _ = prepare(false, basicEntry("user", "pass:word"));
    await using registries = connect(home, { tlsVerify: false });
    await push(`${registry.host}/lax:one`, registries);
  });

  test("gets credentials from a helper, from --authfile and from REGISTRY_AUTH_FILE", async () => {
    using _ = prepare(true);
    const reference = `${registry.host}/helped:one`;
    const entry = JSON.stringify({ auths: { [`${registry.host}/helped`]: basicEntry("user", "pass:word") } });
    const authFile = home.write("elsewhere.json", entry);
    await using named = connect(home, { authFile });
    await push(reference, named);
    await using environment = connect(home, { env: { ...home.env, REGISTRY_AUTH_FILE: authFile } });
    await pull(reference, environment);
    await using outside = connect(home, { authFile });
    expect(await codeOfAsync(() => pull(`${registry.host}/some/where/os:one`, outside))).toBe("registry.unauthorized");

    home.write("run/containers/auth.json", JSON.stringify({ credHelpers: { [registry.host]: "of-a-test" } }));
    home.write(
      "bin/docker-credential-of-a-test",
      `#!/bin/sh\nread -r server || true\n[ "$1 $server" = "get ${registry.host}" ] && echo '{"Username":"user","Secret":"pass:word"}'\n`,
    );
    const path = process.env["PATH"];
    try {
      await using missing = connect(home);
      expect(await codeOfAsync(() => pull(reference, missing))).toBe("registry.helper-failed");
      process.env["PATH"] = `${home.path}/bin:${path}`;
      await using helped = connect(home);
      await pull(reference, helped);
    } finally {
      process.env["PATH"] = path;
    }
  });
});

describe("a registry that asks for certificates of its clients", () => {
  let registry: TestRegistry;

  beforeAll(async () => {
    registry = await startRegistry({ tls: true, clients: true });
  });

  afterAll(async () => await registry[Symbol.asyncDispose]());

  const keyPair = (name: string) =>
    [`${name}.crt`, `${name}.key`].map((file) => readFileSync(join(registry.directory, file), "utf8"));

  test("takes one of its authority from certs.d, as skopeo does", async () => {
    using home = new TestHome();
    home.trust(registry.host, registry.authority as string);
    const [certificate = "", key = ""] = keyPair("client");
    home.identify(registry.host, certificate, key);
    await using registries = connect(home);
    const reference = `${registry.host}/known/os:one`;
    const digest = await push(reference, registries);
    const certs = join(home.path, "config/containers/certs.d", registry.host);
    const { stdout } = await run("skopeo", ["inspect", "--cert-dir", certs, `docker://${reference}`]);
    expect((JSON.parse(stdout) as { Digest: string }).Digest).toBe(digest);
  });

  test("refuses a client without one, and one with that of another authority", async () => {
    using home = new TestHome();
    home.trust(registry.host, registry.authority as string);
    await using nobody = connect(home);
    expect(await codeOfAsync(() => push(`${registry.host}/known/os:no`, nobody))).toBe("registry.client-certificate");
    await using other = await startRegistry({ tls: true });
    const [certificate = "", key = ""] = ["crt", "key"].map((kind) =>
      readFileSync(join(other.directory, `client.${kind}`), "utf8"),
    );
    home.identify(registry.host, certificate, key);
    await using stranger = connect(home);
    expect(await codeOfAsync(() => push(`${registry.host}/known/os:no`, stranger))).toBe("registry.client-certificate");
  });

  test("is not asked with half an identity", async () => {
    using home = new TestHome();
    home.write(`config/containers/certs.d/${registry.host}/client.cert`, "certificate");
    await using registries = connect(home);
    expect(await codeOfAsync(() => push(`${registry.host}/known/os:no`, registries))).toBe(
      "registry.client-key-missing",
    );
  });
});

describe("a registry with a token service", () => {
  let tokens: TokenService;
  let registry: TestRegistry;

  beforeAll(async () => {
    tokens = await startTokenService(["user", "pass"], "identity of a test");
    registry = await startRegistry({
      token: { realm: `http://${tokens.host}/token`, certificate: tokens.certificate },
    });
  });

  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    await tokens[Symbol.asyncDispose]();
  });

  test.each([
    ["a password", basicEntry("user", "pass"), "GET"],
    ["an identity token", { identitytoken: "identity of a test" }, "POST"],
  ])("takes %s, and one token serves all requests of a scope", async (_, entry, method) => {
    using home = new TestHome();
    home.logIn(registry.host, entry);
    await using registries = connect(home, { tlsVerify: false });
    tokens.asked.length = 0;
    const reference = `${registry.host}/guarded/os:${method.toLowerCase()}`;
    const digest = await push(reference, registries);
    expect(await pull(reference, registries)).toBe(digest);
    const scopes = tokens.asked.map((question) => `${question.method} ${question.scopes.join(" ")}`);
    expect(new Set(scopes).size).toBe(2);
    expect(scopes).toContain(`${method} repository:guarded/os:pull,push`);
    // One for each scope of the writer and of the reader, which are two sessions.
    expect(scopes.length).toBeLessThanOrEqual(3);
  });

  test.each([
    ["nobody", undefined],
    ["an unknown account", basicEntry("user", "else")],
    ["an unknown identity token", { identitytoken: "else" }],
    ["an access token of another place", { registrytoken: "else" }],
  ])("refuses %s", async (_, entry) => {
    using home = new TestHome();
    if (entry) home.logIn(registry.host, entry);
    await using registries = connect(home, { tlsVerify: false });
    expect(await codeOfAsync(() => push(`${registry.host}/guarded/os:no`, registries))).toBe("registry.unauthorized");
  });
});

describe("an open registry", () => {
  let registry: TestRegistry;
  let proxy: FaultProxy;
  let home: TestHome;
  let registries: Registries;
  let temp: TempDir;

  beforeAll(async () => {
    registry = await startRegistry();
    proxy = await startFaultProxy(registry.host);
    home = new TestHome();
    registries = connect(home, { tlsVerify: false });
    temp = await openTempDir();
  });

  afterAll(async () => {
    await temp[Symbol.asyncDispose]();
    await registries[Symbol.asyncDispose]();
    home[Symbol.dispose]();
    await proxy[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  const sent = (): number => proxy.seen.reduce((sum, { size }) => sum + size, 0);

  test("is not spoken to without TLS unless --tls-verify=false says so", async () => {
    await using strict = connect(home);
    expect(await codeOfAsync(() => push(`${registry.host}/plain:one`, strict))).toMatch(
      /^registry\.(tls|unavailable)$/,
    );
  });

  test("gets an index with all its images, and gives them back byte for byte", async () => {
    const layout = `oci:${temp.path}/multi:all`;
    const amd64 = (await writeSmallImage(`oci:${temp.path}/multi`)).manifest;
    const layers: SmallImage["layers"] = [...twoLayers, [{ third: "3" }, "zstd"]];
    const other = await writeSmallImage(`oci:${temp.path}/multi`, { architecture: "arm64", layers });
    const manifests = [
      { ...amd64, platform: { os: "linux", architecture: "amd64" } },
      { ...other.manifest, platform: { os: "linux", architecture: "arm64" } },
    ];
    const index = encodeImageIndex({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests });
    await using writer = await openImageWriter(layout);
    await writer.commit({ manifestBytes: index, mediaType: MEDIA_TYPE.index });

    const reference = `${registry.host}/multi:all`;
    const there = await copyImage(layout, reference, { all: true, registries });
    expect(there).toMatchObject({ images: 2, mediaType: MEDIA_TYPE.index });
    const raw = await run("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${reference}`]);
    expect(raw.stdout).toBe(Buffer.from(index).toString());
    const back = await copyImage(reference, `oci:${temp.path}/back:all`, { all: true, registries });
    expect(back.manifestDigest).toBe(there.manifestDigest);
    await using image = await openImage(reference, { registries, platform: "linux/arm64" });
    expect(image.layers).toHaveLength(3);
    const one = await copyImage(reference, `oci-archive:${temp.path}/one.tar`, { platform: "linux/arm64", registries });
    expect(one.manifestDigest).toBe(other.manifest.digest);
  });

  test("mounts the layers of another repository, and sends none that is there", async () => {
    await push(`${proxy.host}/mount/from:one`, registries);
    proxy.seen.length = 0;
    const first = await copyImage(`${proxy.host}/mount/from:one`, `${proxy.host}/mount/to:one`, { registries });
    expect(first.moved).toBe(0);
    expect(proxy.seen.filter(({ method, path }) => method === "POST" && path.includes("mount=")).length).toBe(3);
    expect(proxy.seen.filter(({ method }) => method === "PATCH")).toEqual([]);
    const again = await copyImage(`${proxy.host}/mount/from:one`, `${proxy.host}/mount/to:two`, { registries });
    expect(again.manifestDigest).toBe(first.manifestDigest);
  });

  test("notices a tag that moves between two reads", async () => {
    const reference = `${registry.host}/moving:tag`;
    await push(reference, registries);
    await using source = await openImageSource(reference, { registries });
    const [before] = await source.candidates();
    expect(await source.candidates()).toEqual([before]);
    await using writer = await openImageWriter(reference, { registries });
    await putSmallImage(writer, { layers: [[{ other: "image" }, "gzip"]] });
    expect(await codeOfAsync(() => source.candidates())).toBe("registry.tag-moved");
  });

  test("seals from one tag to another, uploads the new layer only, and shows it when it was checked", async () => {
    await writeSmallOs(`oci:${temp.path}/os`);
    const from = `${proxy.host}/team/os:latest`;
    await copyImage(`oci:${temp.path}/os`, from, { registries });
    proxy.seen.length = 0;
    const to = `${proxy.host}/team/sealed:latest`;
    const certificate = join(temp.path, "db.crt");
    const report = await sealImage(from, {
      to,
      registries,
      ephemeralKeys: true,
      writeCertificateTo: certificate,
      now: new Date(),
    });
    const base = report.reusedLayers.size;
    const documents = 64 * 1024;
    expect(sent()).toBeLessThan(report.layer.size + documents);
    expect(sent()).toBeGreaterThan(report.layer.size);
    expect(base).toBeGreaterThan(documents);
    const tagPut = proxy.seen.findIndex(({ method, path }) => method === "PUT" && path.endsWith("/manifests/latest"));
    const lastRead = proxy.seen.findLastIndex(
      ({ method, path }) => method === "GET" && path.includes(report.layer.digest),
    );
    expect(lastRead).toBeGreaterThan(0);
    expect(tagPut).toBe(proxy.seen.length - 1);
    expect(lastRead).toBeLessThan(tagPut);
    const verdict = await verifyImage(to, { certificates: [certificate], now: new Date(), registries });
    expect(verdict).toMatchObject({ holds: true });
    expect((await computeDigests(to, { registries })).digests).toEqual({ "v1-sha512": report.digest });
  });

  test("lists tags, and referrers by the tag that stands in for the API it has not", async () => {
    const reference = { transport: "docker", registry: registry.host, repository: "listed" } as const;
    const repository = await registries.writer(reference);
    const digest = await push(`${registry.host}/listed:one`, registries);
    await push(`${registry.host}/listed:two`, registries);
    const tags: string[] = [];
    for await (const tag of repository.listTags()) tags.push(tag);
    expect(tags.sort()).toEqual(["one", "two"]);
    const subject = digest as `sha256:${string}` & Parameters<typeof repository.listReferrers>[0];
    expect(await repository.listReferrers(subject)).toEqual([]);
    const { bytes } = await repository.loadManifest("one");
    const referrer = { mediaType: MEDIA_TYPE.manifest, digest: subject, size: bytes.length };
    const index = encodeImageIndex({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [referrer] });
    await repository.storeManifest(index, MEDIA_TYPE.index, digest.replace(":", "-"));
    expect(await repository.listReferrers(subject)).toEqual([referrer]);
  });

  test("names its tags when one is asked for that it has not", async () => {
    await push(`${registry.host}/hints:one`, registries);
    const ask = (name: string) => openImage(`${registry.host}/${name}`, { registries });
    await expect(ask("hints:two")).rejects.toMatchObject({ code: "registry.not-found", hint: "tags there: one" });
    await expect(ask("nothing/here:two")).rejects.toMatchObject({
      hint: expect.stringContaining("no such repository"),
    });
  });

  test("is reached through registries.conf: a mirror that fails, another location, a blocked name", async () => {
    const digest = await push(`${registry.host}/real/os:one`, registries);
    const conf = `
      [[registry]]
      prefix = "os.example/team"
      location = "${registry.host}/real"
      insecure = true
      [[registry.mirror]]
      location = "${registry.host}/nothing/here"
      insecure = true
      [[registry]]
      prefix = "bad.example"
      blocked = true`;
    const path = home.write("registries.conf", conf);
    await using configured = connect(home, { env: { ...home.env, CONTAINERS_REGISTRIES_CONF: path } });
    expect(await pull("os.example/team/os:one", configured)).toBe(digest);
    expect(await codeOfAsync(() => pull("bad.example/os:one", configured))).toBe("registry.blocked");
    expect(await codeOfAsync(() => push("bad.example/os:one", configured))).toBe("registry.blocked");
  });
});
