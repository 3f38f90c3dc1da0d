import { createServer } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { copyImage } from "../../src/actions/copy/copy-image.ts";
import { type BlobDigest, MEDIA_TYPE, toBlobDigest } from "../../src/formats/oci/index.ts";
import { memoryBlob, readBlob } from "../../src/model/image/blob.ts";
import { openImageWriter } from "../../src/model/image/image-writer.ts";
import { openImage } from "../../src/model/image/open-image.ts";
import { RegistrySink } from "../../src/model/image/registry-sink.ts";
import { Registries, type Repository } from "../../src/model/registry/index.ts";
import { codeOfAsync } from "../code-of.ts";
import { putSmallImage } from "../small-image.ts";
import { type FaultProxy, type SeenRequest, startFaultProxy, times } from "./fault-proxy.ts";
import { basicEntry, listening, startRegistry, TestHome, type TestRegistry } from "./servers.ts";

let registry: TestRegistry;
let proxy: FaultProxy;
let home: TestHome;
let registries: Registries;
let slept: number[];

/** Three megabytes that are not all alike. */
const big = Buffer.alloc(3 << 20, Buffer.from(Array.from({ length: 251 }, (_, index) => index)));
const bigDigest = toBlobDigest(big);

beforeAll(async () => {
  registry = await startRegistry({ basic: ["user", "secret word"] });
  home = new TestHome();
});

beforeEach(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await registries?.[Symbol.asyncDispose]();
  proxy = await startFaultProxy(registry.host);
  home.logIn(proxy.host, basicEntry("user", "secret word"));
  slept = [];
  const sleep = (ms: number): Promise<void> => Promise.resolve(void slept.push(ms));
  const pacing = { now: () => Date.now(), random: () => 0, sleep };
  registries = new Registries({ env: home.env, home: home.path, pacing, tlsVerify: false });
});

afterAll(async () => {
  await registries[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

/** Silences are waited for in earnest, so they are short; every answer on loopback takes less by far. */
function impatientRegistries(silenceMs: number): Registries {
  const pacing = { now: () => Date.now(), random: () => 0, sleep: () => Promise.resolve(), silenceMs };
  return new Registries({ env: home.env, home: home.path, pacing, tlsVerify: false });
}

const repository = (name = "test/faults"): Promise<Repository> =>
  registries.writer({ transport: "docker", registry: proxy.host, repository: name });

async function putBig(name?: string): Promise<void> {
  await new RegistrySink(await repository(name)).copy(memoryBlob(big, MEDIA_TYPE.layer));
}

async function getBig(from = registries): Promise<number> {
  const there = await from.writer({ transport: "docker", registry: proxy.host, repository: "test/faults" });
  const content = there.openBlob(bigDigest, big.length);
  const blob = { mediaType: MEDIA_TYPE.layer, digest: bigDigest, size: big.length };
  return (await readBlob(blob, content, "big")).size;
}

const isBlobGet = ({ headers, method, path }: SeenRequest): boolean =>
  method === "GET" && path.includes("/blobs/sha256:") && headers.authorization !== undefined;
const isPatch = ({ method }: SeenRequest): boolean => method === "PATCH";

describe("reading a blob", () => {
  beforeEach(() => putBig());

  test.each([0, 1, 100_000, (3 << 20) - 1])("goes on where the connection dropped, after %i bytes", async (after) => {
    proxy.fault = times(1, isBlobGet, { kind: "drop-answer", after });
    expect(await getBig()).toBe(big.length);
    const ranges = proxy.seen.filter(isBlobGet).map(({ headers }) => headers.range);
    expect(ranges).toEqual([undefined, after === 0 ? undefined : `bytes=${after}-`]);
  });

  test.each([1, 100_000])("goes on where a registry fell silent, after %i bytes", async (after) => {
    await using impatient = impatientRegistries(1500);
    proxy.fault = times(1, isBlobGet, { kind: "stall", after });
    expect(await getBig(impatient)).toBe(big.length);
    expect(proxy.seen.filter(isBlobGet).map(({ headers }) => headers.range)).toEqual([undefined, `bytes=${after}-`]);
  });

  test("asks again when a registry takes the request and does not answer", async () => {
    await using impatient = impatientRegistries(1500);
    proxy.fault = times(1, isBlobGet, { kind: "stall", after: 0 });
    expect(await getBig(impatient)).toBe(big.length);
  });

  test("gives up on a registry that stays silent, and says so", async () => {
    await using impatient = impatientRegistries(200);
    proxy.fault = times(100, isBlobGet, { kind: "stall", after: 0 });
    expect(await codeOfAsync(() => getBig(impatient))).toBe("registry.silent");
    expect(proxy.seen.filter(isBlobGet)).toHaveLength(6);
  });

  test("gives up after six drops without progress", async () => {
    proxy.fault = times(100, isBlobGet, { kind: "drop-answer", after: 0 });
    expect(await codeOfAsync(() => getBig())).toBe("registry.unavailable");
    expect(slept).toEqual([125, 250, 500, 1000, 2000]);
  });

  test.each([
    ["other bytes", { kind: "corrupt", at: 1234 }, "image.blob.digest-mismatch"],
    ["too few bytes", { kind: "shorter", by: 10 }, "image.blob.size-mismatch"],
    ["too many bytes", { kind: "longer", by: 10 }, "registry.malformed"],
    ["no blob", { kind: "answer", status: 404 }, "registry.not-found"],
    ["403", { kind: "answer", status: 403 }, "registry.denied"],
    ["no Location", { kind: "answer", status: 307 }, "registry.malformed"],
  ] as const)("refuses %s", async (_, fault, code) => {
    proxy.fault = times(100, isBlobGet, fault);
    expect(await codeOfAsync(() => getBig())).toBe(code);
  });

  test.each([500, 502, 503, 504, 429])("asks again after an answer %i", async (status) => {
    proxy.fault = times(2, isBlobGet, { kind: "answer", status });
    expect(await getBig()).toBe(big.length);
    expect(slept).toEqual([125, 250]);
  });

  test("waits as long as Retry-After says, and not longer than two minutes", async () => {
    proxy.fault = times(1, isBlobGet, { kind: "answer", status: 429, headers: { "retry-after": "7" } });
    expect(await getBig()).toBe(big.length);
    expect(slept).toEqual([7000]);
    proxy.fault = times(1, isBlobGet, { kind: "answer", status: 429, headers: { "retry-after": "3600" } });
    expect(await codeOfAsync(() => getBig())).toBe("registry.rate-limited");
    expect(slept).toEqual([7000]);
  });

  test("carries no credentials to the host of a redirect, nor answers its challenge", async () => {
    const strangers: (string | undefined)[] = [];
    await using stranger = await listening(
      createServer((request, response) => {
        strangers.push(request.headers.authorization);
        if (request.url === "/ask") response.writeHead(401, { "www-authenticate": 'Basic realm="give"' }).end();
        else response.end(big);
      }),
    );
    const redirect = (path: string) =>
      ({ kind: "answer", status: 307, headers: { location: `http://${stranger.host}${path}` } }) as const;
    proxy.fault = (request) => (isBlobGet(request) ? redirect("/blob?sig=1") : undefined);
    expect(await getBig()).toBe(big.length);
    proxy.fault = (request) => (isBlobGet(request) ? redirect("/ask") : undefined);
    expect(await codeOfAsync(() => getBig())).toBe("registry.unauthorized");
    expect(strangers).toEqual([undefined, undefined]);
  });

  test("follows no redirects without end", async () => {
    proxy.fault = times(100, isBlobGet, { kind: "answer", status: 302, headers: { location: "/v2/x/blobs/sha256:1" } });
    expect(await codeOfAsync(() => getBig())).toBe("registry.redirect-refused");
    expect(proxy.seen.length).toBeLessThan(20);
  });
});

describe("reading a manifest", () => {
  const write = async (tag: string): Promise<BlobDigest> => {
    await using writer = await openImageWriter(`${proxy.host}/test/manifests:${tag}`, { registries });
    return (await putSmallImage(writer)).manifest.digest;
  };
  const isManifestGet = ({ headers, method, path }: SeenRequest): boolean =>
    method === "GET" && path.includes("/manifests/") && headers.authorization !== undefined;
  const open = async (name: string): Promise<void> => {
    await using image = await openImage(`${proxy.host}/test/manifests${name}`, { registries });
    expect(image.layers).toHaveLength(2);
  };

  test.each([
    ["other bytes", { kind: "corrupt", at: 5 }, "registry.manifest.digest-mismatch"],
    ["too few bytes", { kind: "shorter", by: 3 }, "registry.manifest.digest-mismatch"],
    ["more than 4 MiB", { kind: "longer", by: 4 << 20 }, "registry.malformed"],
    [
      "a media type of something else",
      { kind: "answer", status: 200, headers: { "content-type": "text/html" }, body: "{}" },
      "registry.media-type-unsupported",
    ],
  ] as const)("refuses %s", async (_, fault, code) => {
    await write("one");
    proxy.fault = times(100, isManifestGet, fault);
    expect(await codeOfAsync(() => open(":one"))).toBe(code);
  });

  test("asks again after a drop", async () => {
    await write("one");
    proxy.fault = times(2, isManifestGet, { kind: "drop-answer", after: 10 });
    await open(":one");
  });

  test("compares with the digest in the reference", async () => {
    const digest = await write("one");
    await open(`@${digest}`);
    const body = "{}";
    proxy.fault = times(9, isManifestGet, {
      kind: "answer",
      status: 200,
      headers: { "content-type": MEDIA_TYPE.manifest },
      body,
    });
    expect(await codeOfAsync(() => open(`@${digest}`))).toBe("registry.manifest.digest-mismatch");
  });
});

describe("writing a blob", () => {
  let count = 0;
  const fresh = (): string => `test/upload-${(count += 1)}`;

  test.each([0, 1, 70_000, (3 << 20) - 1])("survives a connection that drops after %i bytes", async (after) => {
    const name = fresh();
    proxy.fault = times(2, isPatch, { kind: "drop-request", after });
    await putBig(name);
    proxy.fault = () => undefined;
    expect(await (await repository(name)).findBlob(bigDigest)).toBe(big.length);
  });

  test.each([500, 503, 429])("survives answers %i to the upload", async (status) => {
    const name = fresh();
    proxy.fault = times(2, isPatch, { kind: "answer", status });
    await putBig(name);
    expect(await (await repository(name)).findBlob(bigDigest)).toBe(big.length);
  });

  test("survives a lost answer to the last request", async () => {
    const name = fresh();
    proxy.fault = times(1, ({ method }) => method === "PUT", { kind: "drop-answer", after: 0 });
    await putBig(name);
    expect(await (await repository(name)).findBlob(bigDigest)).toBe(big.length);
  });

  test("sends a stream of unknown size in pieces, and each again when it has to", async () => {
    const name = fresh();
    const parts = Array.from({ length: 7 }, () => big);
    proxy.fault = times(1, isPatch, { kind: "answer", status: 502 });
    const sink = new RegistrySink(await repository(name));
    async function* content(): AsyncGenerator<Uint8Array> {
      yield* parts;
    }
    const { digest, size } = await sink.put({ mediaType: MEDIA_TYPE.layer }, content());
    expect(size).toBe(7 * big.length);
    expect(digest).toBe(toBlobDigest(Buffer.concat(parts)));
    expect(proxy.seen.filter(isPatch).map((request) => request.headers["content-range"])).toEqual([
      undefined,
      undefined,
      `${9 << 20}-${(18 << 20) - 1}`,
      `${18 << 20}-${(21 << 20) - 1}`,
    ]);
  });

  test("does not publish what is not what its digest says", async () => {
    const name = fresh();
    const sink = new RegistrySink(await repository(name));
    const wrong = { ...memoryBlob(big, MEDIA_TYPE.layer), digest: toBlobDigest(Buffer.from("else")) };
    expect(await codeOfAsync(() => sink.copy(wrong))).toBe("image.blob.digest-mismatch");
    expect(await (await repository(name)).findBlob(wrong.digest)).toBeUndefined();
    expect(proxy.seen.filter(({ method }) => method === "PUT")).toEqual([]);
    expect(proxy.seen.filter(({ method }) => method === "DELETE")).toHaveLength(1);
  });

  test("shows no tag when it is not finished", async () => {
    const name = fresh();
    {
      await using writer = await openImageWriter(`${proxy.host}/${name}:later`, { registries });
      await writer.copyBlob(memoryBlob(big, MEDIA_TYPE.layer));
    }
    expect(await (await repository(name)).findManifest("later")).toBeUndefined();
  });
});

describe("what is said of a failure", () => {
  test("holds no credentials and no query", async () => {
    await putBig();
    proxy.fault = ({ headers }) =>
      headers.authorization
        ? { kind: "answer", status: 307, headers: { location: `http://user:secret@${proxy.host}/gone?token=secret` } }
        : undefined;
    const error = await getBig().catch((caught: unknown) => caught as Error & { data: unknown });
    const said = `${String(error)} ${JSON.stringify(error)} ${(error as Error).stack}`;
    expect(said).toContain("registry.");
    expect(said).not.toMatch(/secret|token=|dXNlcjpz/);
  });

  test("copies nothing on when a source lies", async () => {
    {
      await using writer = await openImageWriter(`${proxy.host}/test/liar:one`, { registries });
      await putSmallImage(writer);
    }
    proxy.fault = (request) => (isBlobGet(request) ? { kind: "corrupt", at: 1 } : undefined);
    const target = `${registry.host}/test/copied:one`;
    home.logIn(registry.host, basicEntry("user", "secret word"));
    home.write(
      "run/containers/auth.json",
      JSON.stringify({
        auths: Object.fromEntries([registry.host, proxy.host].map((host) => [host, basicEntry("user", "secret word")])),
      }),
    );
    expect(await codeOfAsync(() => copyImage(`${proxy.host}/test/liar:one`, target, { registries }))).toBe(
      "image.blob.digest-mismatch",
    );
    const there = await registries.writer({ transport: "docker", registry: registry.host, repository: "test/copied" });
    expect(await there.findManifest("one")).toBeUndefined();
  });
});
