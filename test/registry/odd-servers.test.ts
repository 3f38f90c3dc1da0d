/** Servers that docker-registry is not: pages, the referrers API, proxies, and answers that make no sense. */
import { createServer, type RequestListener, request as sendRequest } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Descriptor,
  encodeImageIndex,
  MEDIA_TYPE,
  parseImageIndex,
  toBlobDigest,
} from "../../src/formats/oci/index.ts";
import { memoryBlob } from "../../src/model/image/blob.ts";
import { openImage } from "../../src/model/image/open-image.ts";
import { RegistrySink } from "../../src/model/image/registry-sink.ts";
import { Registries, type Repository } from "../../src/model/registry/index.ts";
import { codeOfAsync } from "../code-of.ts";
import { basicEntry, listening, readBytes, TestHome, type TestServer } from "./servers.ts";

let server: TestServer;
let home: TestHome;
let registries: Registries;
let answer: RequestListener;
let seen: string[];

const pacing = { now: () => 0, random: () => 0, sleep: () => Promise.resolve() };

beforeEach(async () => {
  seen = [];
  server = await listening(
    createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      request.resume();
      if (seen.length > 50) response.writeHead(418).end();
      else answer(request, response);
    }),
  );
  home = new TestHome();
  registries = new Registries({ env: home.env, home: home.path, pacing, tlsVerify: false });
});

afterEach(async () => {
  await registries[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

const open = (signal?: AbortSignal): Promise<Repository> =>
  registries.writer({ transport: "docker", registry: server.host, repository: "a/b" }, signal);

async function tags(): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const tag of (await open()).listTags()) found.push(tag);
  return found;
}

const blob = memoryBlob(Buffer.alloc(100_000, "x"), MEDIA_TYPE.layer);

describe("lists", () => {
  test("are read page by page", async () => {
    answer = (request, response) => {
      const page = Number(new URL(request.url ?? "", "http://x").searchParams.get("page") ?? 0);
      if (page < 3) response.setHeader("link", `</v2/a/b/tags/list?page=${page + 1}>; rel="next"`);
      response.end(JSON.stringify({ tags: [`t${page}`] }));
    };
    expect(await tags()).toEqual(["t0", "t1", "t2", "t3"]);
  });

  test.each([
    ["a page on another host", { link: '<http://other.example/v2/a/b/tags/list>; rel="next"' }, "{}"],
    ["something else than tags", {}, '{"tags": [1]}'],
    ["no JSON", {}, "<html>"],
    ["a list of more than 4 MiB", {}, JSON.stringify({ tags: ["x".repeat(5 << 20)] })],
  ] as const)("with %s are refused", async (_, headers, body) => {
    answer = (_request, response) => response.writeHead(200, headers).end(body);
    expect(await codeOfAsync(tags)).toBe("registry.malformed");
  });

  test("of referrers may be null, and may name one twice", async () => {
    const digest = toBlobDigest(Buffer.from("subject"));
    answer = (_request, response) => response.end('{"schemaVersion":2,"manifests":null}');
    expect(await (await open()).listReferrers(digest)).toEqual([]);
    const referrer = { mediaType: MEDIA_TYPE.manifest, digest, size: 7 };
    answer = (_request, response) =>
      response.end(JSON.stringify({ schemaVersion: 2, manifests: [referrer, referrer] }));
    expect(await (await open()).listReferrers(digest)).toEqual([referrer]);
  });

  test("of referrers come from the API where there is one", async () => {
    const digest = toBlobDigest(Buffer.from("subject"));
    const referrer = { mediaType: MEDIA_TYPE.manifest, digest, size: 7, artifactType: "application/x" };
    answer = (_request, response) =>
      response.end(encodeImageIndex({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [referrer] }));
    expect(await (await open()).listReferrers(digest)).toEqual([referrer]);
    expect(seen).toContain(`GET /v2/a/b/referrers/${digest}`);
  });
});

describe("manifests", () => {
  test("that never end are not read to the end", async () => {
    let sent = 0;
    answer = (_request, response) => {
      response.writeHead(200, { "content-type": MEDIA_TYPE.manifest });
      const chunk = Buffer.alloc(1 << 20, " ");
      const send = (): void => {
        if (response.destroyed || sent > 64) return;
        sent += 1;
        response.write(chunk, () => setImmediate(send));
      };
      send();
    };
    expect(await codeOfAsync(async () => (await open()).loadManifest("endless"))).toBe("registry.malformed");
    expect(sent).toBeLessThan(64);
  });

  test("are not asked for when an index says they are larger than one may be", async () => {
    const digest = toBlobDigest(Buffer.from("large"));
    const platform = { os: "linux", architecture: "amd64" };
    const large = { mediaType: MEDIA_TYPE.manifest, digest, size: 5 << 20, platform };
    const index = encodeImageIndex({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [large] });
    answer = (request, response) => {
      const found = request.url?.includes("/manifests/top") === true;
      response.writeHead(found ? 200 : 418, { "content-type": MEDIA_TYPE.index }).end(index);
    };
    const image = () => openImage(`${server.host}/a/b:top`, { registries, platform: "linux/amd64" });
    expect(await codeOfAsync(image)).toBe("oci.manifest.malformed");
    expect(seen.some((line) => line.includes(digest))).toBe(false);
  });
});

describe("the referrers tag", () => {
  const subject = toBlobDigest(Buffer.from("subject"));
  const referrer = (name: string): Descriptor => ({
    mediaType: MEDIA_TYPE.manifest,
    digest: toBlobDigest(Buffer.from(name)),
    size: name.length,
    artifactType: `application/${name}`,
  });
  const indexOf = (...names: readonly string[]): Uint8Array =>
    encodeImageIndex({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: names.map(referrer) });

  /** Keeps one tag; `onPut` is what another client does right after a write. */
  function keepTag(
    stored: Uint8Array | undefined,
    onPut: (written: Uint8Array) => Uint8Array,
  ): () => readonly string[] {
    let tag = stored;
    answer = (request, response) => {
      if (request.method === "PUT") {
        void readBytes(request).then((bytes) => {
          tag = onPut(bytes);
          response.writeHead(201).end();
        });
        return;
      }
      if (tag === undefined || request.url?.includes("/referrers/")) {
        response.writeHead(404).end();
        return;
      }
      const headers = { "content-type": MEDIA_TYPE.index, "docker-content-digest": toBlobDigest(tag) };
      response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : tag);
    };
    const typesOf = (bytes: Uint8Array) =>
      parseImageIndex(bytes).manifests.map(({ artifactType }) => artifactType ?? "");
    return () => (tag === undefined ? [] : typesOf(tag));
  }

  test("is made when there is none, and keeps what was there", async () => {
    const listed = keepTag(undefined, (written) => written);
    await (await open()).addToReferrersTag(subject, [referrer("one")]);
    await (await open()).addToReferrersTag(subject, [referrer("two"), referrer("one")]);
    expect(listed()).toEqual(["application/one", "application/two"]);
    expect(seen.filter((line) => line.startsWith("PUT"))).toHaveLength(2);
  });

  test("is written again when another client overwrote it", async () => {
    let others = 3;
    // They read the tag before we wrote it.
    const listed = keepTag(indexOf("old"), (written) => (others-- > 0 ? indexOf("old", `other-${others}`) : written));
    await (await open()).addToReferrersTag(subject, [referrer("ours")]);
    expect(listed()).toEqual(["application/old", "application/other-0", "application/ours"]);
    expect(seen.filter((line) => line.startsWith("PUT"))).toHaveLength(4);
  });

  test("is given up when others never stop", async () => {
    let count = 0;
    keepTag(undefined, () => indexOf(`other-${(count += 1)}`));
    expect(await codeOfAsync(async () => (await open()).addToReferrersTag(subject, [referrer("ours")]))).toBe(
      "registry.referrers-contended",
    );
    expect(count).toBe(10);
  });

  test("that is something else than an index is refused, and left alone", async () => {
    keepTag(Buffer.from("{}"), () => new Uint8Array());
    expect(await codeOfAsync(async () => (await open()).addToReferrersTag(subject, [referrer("ours")]))).toBe(
      "oci.index.malformed",
    );
    expect(seen.filter((line) => line.startsWith("PUT"))).toEqual([]);
  });

  test("does not grow past the size of a manifest", async () => {
    keepTag(undefined, (written) => written);
    const many = ["a", "b", "c"].map((name) => referrer(name.repeat(2 << 20)));
    expect(await codeOfAsync(async () => (await open()).addToReferrersTag(subject, many))).toBe(
      "registry.referrers-full",
    );
  });
});

describe("challenges", () => {
  test.each([
    ["none at all", undefined, "registry.unauthorized"],
    ["of a scheme we do not speak", "Negotiate", "registry.unauthorized"],
    ["of a token service that is no URL", 'Bearer realm="nowhere"', "registry.challenge-refused"],
    ["of a token service by another protocol", 'Bearer realm="ftp://x/token"', "registry.challenge-refused"],
    ["that no password satisfies", "Basic realm=x", "registry.unauthorized"],
  ])("%s: a refusal, after few requests", async (_, challenge, code) => {
    home.logIn(server.host, basicEntry("user", "secret"));
    answer = (_request, response) => response.writeHead(401, challenge ? { "www-authenticate": challenge } : {}).end();
    expect(await codeOfAsync(tags)).toBe(code);
    expect(seen.length).toBeLessThanOrEqual(2 + 1);
  });

  test.each([
    ["no token", "{}"],
    ["a token with a line break", JSON.stringify({ token: "a\r\nb: c" })],
    ["no JSON", "token"],
  ])("answered by the token service with %s are refused", async (_, body) => {
    answer = (request, response) => {
      if (request.url?.startsWith("/token") === true) response.end(body);
      else response.writeHead(401, { "www-authenticate": `Bearer realm="http://${server.host}/token"` }).end();
    };
    expect(await codeOfAsync(tags)).toBe("registry.malformed");
  });
});

describe("uploads", () => {
  const upload = async (signal?: AbortSignal): Promise<unknown> =>
    new RegistrySink(await open(signal), { ...(signal && { signal }) }).copy(blob);

  test.each([
    ["no place to go", 202, {}],
    ["a place that is no URL", 202, { location: "http://[" }],
    ["a place that is no HTTP", 202, { location: "file:///etc/passwd" }],
  ] as const)("with %s are refused", async (_, status, headers) => {
    answer = (request, response) =>
      void (request.method === "HEAD" ? response.writeHead(404).end() : response.writeHead(status, headers).end());
    expect(await codeOfAsync(upload)).toBe("registry.malformed");
  });

  test("end when the registry forgets them again and again", async () => {
    answer = (request, response) => {
      if (request.method === "HEAD") response.writeHead(404).end();
      else if (request.method === "POST") response.writeHead(202, { location: "/v2/a/b/blobs/uploads/1" }).end();
      else if (request.method === "PATCH") response.writeHead(500).end();
      else response.writeHead(404).end();
    };
    expect(await codeOfAsync(upload)).toBe("registry.upload-lost");
    expect(seen.filter((line) => line.startsWith("POST"))).toHaveLength(4);
  });

  test("stop when the user does", async () => {
    const controller = new AbortController();
    answer = (request, response) => {
      if (request.method === "HEAD") response.writeHead(404).end();
      else if (request.method === "POST") response.writeHead(202, { location: "/v2/a/b/blobs/uploads/1" }).end();
      else controller.abort(); // and no answer, ever
    };
    expect(await codeOfAsync(() => upload(controller.signal))).toBe("interrupted");
  });
});

test("a proxy of the environment carries what no_proxy does not name", async () => {
  const carried: string[] = [];
  await using proxy = await listening(
    createServer((request, response) => {
      carried.push(request.url ?? "");
      const url = new URL(request.url ?? "");
      request.pipe(
        sendRequest(url, { method: request.method, headers: request.headers }, (onward) => {
          response.writeHead(onward.statusCode ?? 500, onward.headers);
          onward.pipe(response);
        }),
      );
    }),
  );
  answer = (_request, response) => response.end(JSON.stringify({ tags: ["one"] }));
  const env = { ...home.env, http_proxy: `http://${proxy.host}` };
  const list = async (more: Readonly<Record<string, string>>): Promise<void> => {
    await using proxied = new Registries({ env: { ...env, ...more }, home: home.path, pacing, tlsVerify: false });
    const repository = await proxied.writer({ transport: "docker", registry: server.host, repository: "a/b" });
    for await (const tag of repository.listTags()) expect(tag).toBe("one");
  };
  await list({});
  expect(carried).toContain(`http://${server.host}/v2/a/b/tags/list`);
  const before = carried.length;
  await list({ no_proxy: "127.0.0.1" });
  expect(carried.length).toBe(before);
});
