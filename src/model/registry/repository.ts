/** One repository of a registry: the operations of the OCI distribution specification 1.1. */
import * as v from "valibot";
import type { Descriptor } from "../../formats/oci/descriptor.ts";
import { type BlobDigest, blobDigestAlgorithm, isBlobDigest, toBlobDigest } from "../../formats/oci/digest.ts";
import { type ImageIndex, MAX_MANIFEST_SIZE, parseImageIndex } from "../../formats/oci/image-index.ts";
import { isIndexMediaType, isManifestMediaType, MEDIA_TYPE } from "../../formats/oci/media-types.ts";
import { parseReferrerList, referrersTag } from "../../formats/oci/referrers.ts";
import { quote, RegistryError, VerificationError } from "../../lib/errors.ts";
import { downloadBlob } from "./blob-download.ts";
import { type BlobUpload, startUpload } from "./blob-upload.ts";
import { malformedAnswer, resolveUrl } from "./failure.ts";
import { parseAnswer } from "./parse-answer.ts";
import { addToReferrersTag } from "./referrers-tag.ts";
import type { Session } from "./session.ts";
import { bytesBody, type HttpResponse } from "./transport.ts";

/** Bytes of a manifest or index, checked against the digest that names them. */
export interface StoredManifest {
  readonly mediaType: string;
  readonly digest: BlobDigest;
  readonly bytes: Uint8Array;
}

const ACCEPT = [MEDIA_TYPE.manifest, MEDIA_TYPE.index, MEDIA_TYPE.dockerManifest, MEDIA_TYPE.dockerIndex].join(", ");

/** Safety limit on pages of a list, each of which is at most as large as a manifest. */
const MAX_PAGES = 1000;

const tagPage = v.object({ tags: v.nullish(v.array(v.string())) });

export class Repository {
  /** Path on the registry: `library/debian`. */
  readonly name: string;
  readonly #session: Session;
  readonly #pull: readonly string[];
  readonly #push: readonly string[];

  constructor(session: Session, name: string) {
    this.name = name;
    this.#session = session;
    this.#pull = [`repository:${name}:pull`];
    this.#push = [`repository:${name}:pull,push`];
  }

  /** Host and port of the registry. */
  get registry(): string {
    return this.#session.origin.host;
  }

  /**
   * Reads a manifest or an index.
   *
   * @param reference tag or digest
   * @throws {RegistryError} `registry.not-found`, `registry.malformed`
   * @throws {VerificationError} `registry.manifest.digest-mismatch`
   */
  async loadManifest(reference: string): Promise<StoredManifest> {
    const attempts = this.#session.attempts();
    for (;;) {
      try {
        return await this.#loadManifestOnce(reference);
      } catch (error) {
        await attempts.afterFailure(error);
      }
    }
  }

  async #loadManifestOnce(reference: string): Promise<StoredManifest> {
    const what = this.#what(`manifest ${reference}`);
    const response = await this.#session.sendOnce({
      method: "GET",
      url: this.#path("manifests", reference),
      headers: { accept: ACCEPT },
      scopes: this.#pull,
      accept: [200],
      what,
    });
    const bytes = await response.load(MAX_MANIFEST_SIZE);
    const said = response.header("docker-content-digest");
    const expected = isBlobDigest(reference) ? reference : isBlobDigest(said) ? said : undefined;
    const digest = toBlobDigest(bytes, expected === undefined ? "sha256" : blobDigestAlgorithm(expected));
    if (expected !== undefined && digest !== expected) {
      throw new VerificationError(
        "registry.manifest.digest-mismatch",
        `${what}: found ${digest}, expected ${expected}`,
        { data: { expected, found: digest } },
      );
    }
    return { digest, bytes, mediaType: requireMediaType(what, response) };
  }

  /** What a tag or digest names now, or nothing. */
  async findManifest(reference: string): Promise<BlobDigest | undefined> {
    const response = await this.#session.send({
      method: "HEAD",
      url: this.#path("manifests", reference),
      headers: { accept: ACCEPT },
      scopes: this.#pull,
      accept: [200, 404],
      what: this.#what(`manifest ${reference}`),
    });
    await response.discard();
    if (response.status === 404) return undefined;
    const digest = response.header("docker-content-digest");
    return isBlobDigest(digest) ? digest : (await this.loadManifest(reference)).digest;
  }

  /**
   * @param reference the digest of the bytes, or a tag
   * @returns the subject among whose referrers the registry lists the manifest now; nothing when it knows no subjects
   */
  async storeManifest(bytes: Uint8Array, mediaType: string, reference: string): Promise<BlobDigest | undefined> {
    const what = this.#what(`manifest ${reference}`);
    const response = await this.#session.send({
      method: "PUT",
      url: this.#path("manifests", reference),
      headers: { "content-type": mediaType },
      body: bytesBody(bytes),
      scopes: this.#push,
      accept: [200, 201, 202],
      what,
    });
    await response.discard();
    const said = response.header("docker-content-digest");
    if (isBlobDigest(said)) {
      const digest = toBlobDigest(bytes, blobDigestAlgorithm(said));
      if (said !== digest) throw malformedAnswer(what, response.url, digest, said);
    }
    const subject = response.header("oci-subject");
    return isBlobDigest(subject) ? subject : undefined;
  }

  /** @returns the size, or nothing when the blob is not there */
  async findBlob(digest: BlobDigest): Promise<number | undefined> {
    const what = this.#what(digest);
    const response = await this.#session.send({
      method: "HEAD",
      url: this.#path("blobs", digest),
      scopes: this.#pull,
      accept: [200, 404],
      what,
    });
    await response.discard();
    if (response.status === 404) return undefined;
    const size = response.header("content-length") ?? "";
    if (/^\d{1,15}$/.test(size)) return Number(size);
    throw malformedAnswer(what, response.url, "a Content-Length", quote(size));
  }

  /**
   * Streams a blob, going on where a dropped connection left off. The bytes are not checked against the digest: the
   * reader does that.
   */
  openBlob(digest: BlobDigest, size: number): AsyncIterable<Uint8Array> {
    const { session, url, scopes } = { session: this.#session, url: this.#path("blobs", digest), scopes: this.#pull };
    return downloadBlob(session, { url, scopes, size, what: this.#what(digest) });
  }

  /**
   * Begins an upload, or mounts the blob from another repository of the same registry.
   *
   * @returns nothing when the blob was mounted
   */
  async startUpload(mount?: { readonly digest: BlobDigest; readonly from: string }): Promise<BlobUpload | undefined> {
    const scopes = mount === undefined ? this.#push : [...this.#push, `repository:${mount.from}:pull`];
    const query =
      mount === undefined ? "" : `?${new URLSearchParams({ mount: mount.digest, from: mount.from }).toString()}`;
    return await startUpload(this.#session, {
      url: `/v2/${this.name}/blobs/uploads/${query}`,
      startScopes: scopes,
      scopes: this.#push,
      what: this.#what("upload"),
    });
  }

  /** All tags, page by page. */
  async *listTags(): AsyncGenerator<string, void, void> {
    const what = this.#what("tags");
    for await (const { bytes, url } of this.#pages(`/v2/${this.name}/tags/list`, what)) {
      const page = parseAnswer(tagPage, bytes);
      if (page === undefined) throw malformedAnswer(what, url, "a list of tags", "something else");
      yield* page.tags ?? [];
    }
  }

  /**
   * Manifests whose subject is `digest`, each once: of the referrers API or, where the registry has none, of the tag
   * that stands in for it ("Referrers Tag Schema").
   */
  async listReferrers(digest: BlobDigest): Promise<readonly Descriptor[]> {
    const listed = (await this.#listByApi(digest)) ?? (await this.loadReferrersTag(digest)).manifests;
    return [...new Map(listed.map((each) => [each.digest, each])).values()];
  }

  async #listByApi(digest: BlobDigest): Promise<readonly Descriptor[] | undefined> {
    const what = this.#what(`referrers of ${digest}`);
    const found: Descriptor[] = [];
    try {
      for await (const { bytes } of this.#pages(`/v2/${this.name}/referrers/${digest}`, what)) {
        found.push(...parseReferrerList(bytes, what));
      }
      return found;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The index under the referrers tag, and its digest; an empty one when there is no such tag. */
  async loadReferrersTag(subject: BlobDigest): Promise<ImageIndex & { readonly digest?: BlobDigest }> {
    try {
      const { bytes, digest } = await this.loadManifest(referrersTag(subject));
      return { ...parseImageIndex(bytes, this.#what(`referrers of ${subject}`)), digest };
    } catch (error) {
      if (isNotFound(error)) return { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [] };
      throw error;
    }
  }

  /** Lists manifests among the referrers of `subject` where the registry does not do it itself: see `referrers-tag.ts`. */
  async addToReferrersTag(subject: BlobDigest, referrers: readonly Descriptor[]): Promise<void> {
    await addToReferrersTag(this, subject, referrers, this.#session);
  }

  async *#pages(first: string, what: string): AsyncGenerator<{ readonly bytes: Uint8Array; readonly url: URL }> {
    let url: URL | undefined = new URL(first, this.#session.origin);
    for (let page = 0; url !== undefined; page++) {
      if (page === MAX_PAGES) throw malformedAnswer(what, url, `at most ${MAX_PAGES} pages`, "more");
      const response = await this.#session.send({ method: "GET", url, scopes: this.#pull, accept: [200], what });
      yield { bytes: await response.load(MAX_MANIFEST_SIZE), url };
      url = nextPage(response, what);
    }
  }

  #path(kind: "manifests" | "blobs", reference: string): string {
    return `/v2/${this.name}/${kind}/${reference}`;
  }

  #what(thing: string): string {
    return `${this.registry}/${this.name}: ${thing}`;
  }
}

export const isNotFound = (error: unknown): boolean =>
  error instanceof RegistryError && error.code === "registry.not-found";

function requireMediaType(what: string, response: HttpResponse): string {
  const mediaType = (response.header("content-type") ?? "").split(";")[0]?.trim() ?? "";
  if (isManifestMediaType(mediaType) || isIndexMediaType(mediaType)) return mediaType;
  throw new RegistryError(
    "registry.media-type-unsupported",
    `${what}: media type ${quote(mediaType)} is no image manifest or index of OCI or Docker schema 2`,
    { data: { mediaType } },
  );
}

/** `Link: <URL>; rel="next"` (RFC 5988). A list does not lead to another host. */
function nextPage(response: HttpResponse, what: string): URL | undefined {
  const [, target] = /^\s*<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(response.header("link") ?? "") ?? [];
  if (target === undefined) return undefined;
  const next = resolveUrl(target, response.url);
  if (next?.origin === response.url.origin) return next;
  throw malformedAnswer(what, response.url, "a next page of the same registry", quote(target));
}
