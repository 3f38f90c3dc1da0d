/**
 * Uploads of the distribution specification 1.1, "Pushing blobs": a POST gives a place, PATCHes bring the bytes there,
 * a PUT with the digest makes a blob of them. Whether it is one PATCH or many, each goes on where the registry says
 * the last one ended.
 */
import type { BlobDigest } from "../../formats/oci/digest.ts";
import { quote, RegistryError } from "../../lib/errors.ts";
import { skip } from "./blob-download.ts";
import { malformedAnswer, resolveUrl } from "./failure.ts";
import type { Session } from "./session.ts";
import { bytesBody, type HttpResponse, type RequestBody } from "./transport.ts";

export interface UploadPlace {
  readonly url: string;
  /** Of the first request, which may mount from another repository. */
  readonly startScopes: readonly string[];
  readonly scopes: readonly string[];
  readonly what: string;
}

export interface BlobUpload {
  /**
   * Adds bytes. They can be asked for again, from the first on, after a dropped connection.
   *
   * @throws {RegistryError} `registry.upload-lost` when the registry forgot the upload, which has to begin again
   */
  append(piece: RequestBody): Promise<void>;
  /**
   * Makes the blob: the registry compares the digest.
   *
   * @throws {RegistryError} `registry.upload-lost` when it has other bytes, or none, or made the blob before
   */
  finish(digest: BlobDigest): Promise<void>;
  /** Forgets what was sent. */
  cancel(): Promise<void>;
}

/** `BLOB_UPLOAD_INVALID`, `BLOB_UPLOAD_UNKNOWN` and their like come with any of these. */
const FORGOTTEN = [400, 404, 416];

/** @returns nothing when the request was one to mount, and the registry did */
export async function startUpload(session: Session, place: UploadPlace): Promise<BlobUpload | undefined> {
  const { scopes, startScopes, url, what } = place;
  const response = await session.send({ method: "POST", url, scopes: startScopes, accept: [201, 202], what });
  await response.discard();
  if (response.status === 201) return undefined;
  return new Upload(session, scopes, what, response);
}

class Upload implements BlobUpload {
  readonly #session: Session;
  readonly #scopes: readonly string[];
  readonly #what: string;
  #location: URL;
  /** Bytes the registry has for certain. */
  #offset = 0;

  constructor(session: Session, scopes: readonly string[], what: string, response: HttpResponse) {
    this.#session = session;
    this.#scopes = scopes;
    this.#what = what;
    this.#location = this.#requireLocation(response);
  }

  async append(piece: RequestBody): Promise<void> {
    if (piece.size === 0) return;
    const start = this.#offset;
    const attempts = this.#session.attempts();
    for (;;) {
      try {
        await this.#patch(piece, start);
        return;
      } catch (error) {
        // What was cut off can still come in behind the answer that told how much there was.
        if (this.#offset > start || attempts.failures > 0) this.#refuseForgotten(error);
        await attempts.afterFailure(error);
        const there = await this.#askOffset();
        if (there > this.#offset) attempts.reset();
        if (there < start || there > start + piece.size) throw this.#lost(`${there} bytes`);
        this.#offset = there;
        if (there === start + piece.size) return;
      }
    }
  }

  async finish(digest: BlobDigest): Promise<void> {
    const url = new URL(this.#location);
    url.searchParams.set("digest", digest);
    try {
      const response = await this.#send("PUT", url, [201, 204]);
      await response.discard();
    } catch (error) {
      this.#refuseForgotten(error);
      throw error;
    }
  }

  async cancel(): Promise<void> {
    try {
      const response = await this.#session.sendOnce({
        method: "DELETE",
        url: this.#location,
        scopes: this.#scopes,
        accept: [200, 202, 204],
        what: this.#what,
      });
      await response.discard();
    } catch (error) {
      // Registries clean up by themselves; what went wrong before is what matters.
      if (!(error instanceof RegistryError)) throw error;
    }
  }

  async #patch(piece: RequestBody, start: number): Promise<void> {
    const done = this.#offset - start;
    const size = piece.size - done;
    const response = await this.#session.sendOnce({
      method: "PATCH",
      url: this.#location,
      headers: {
        "content-type": "application/octet-stream",
        // Inclusive, and without the unit: "Pushing a blob in chunks". Some registries know no range for the first.
        ...(this.#offset === 0 ? {} : { "content-range": `${this.#offset}-${this.#offset + size - 1}` }),
      },
      body: { size, open: () => (done === 0 ? piece.open() : skip(piece.open(), done)) },
      scopes: this.#scopes,
      accept: [202, 204],
      what: this.#what,
    });
    await response.discard();
    this.#location = this.#requireLocation(response);
    this.#offset += size;
  }

  /** `GET` on the place of an upload says what is there in `Range: 0-N`. */
  async #askOffset(): Promise<number> {
    const response = await this.#send("GET", this.#location, [204, ...FORGOTTEN]);
    await response.discard();
    // Distribution before 3 refuses to say it when it kept a part of a PATCH that was cut off.
    if (response.status !== 204) throw this.#lost("nothing any more");
    this.#location = this.#requireLocation(response);
    const range = response.header("range") ?? "";
    const [, end] = /^(?:bytes=)?0-(\d{1,15})$/.exec(range) ?? [];
    if (end === undefined) throw malformedAnswer(this.#what, response.url, "a Range from 0", quote(range));
    // An empty upload is "0-0" too, as one of one byte.
    return end === "0" ? 0 : Number(end) + 1;
  }

  async #send(method: "GET" | "PUT", url: URL, accept: readonly number[]): Promise<HttpResponse> {
    const request = { method, url, scopes: this.#scopes, accept, what: this.#what };
    return await this.#session.send(method === "PUT" ? { ...request, body: bytesBody(new Uint8Array()) } : request);
  }

  #requireLocation(response: HttpResponse): URL {
    const location = response.header("location") ?? "";
    const url = location === "" ? undefined : resolveUrl(location, response.url);
    if (url?.protocol === response.url.protocol || url?.protocol === "https:") return url;
    throw malformedAnswer(this.#what, response.url, "a place in Location", location === "" ? "none" : "an unsafe one");
  }

  #refuseForgotten(error: unknown): void {
    if (!(error instanceof RegistryError) || !FORGOTTEN.includes(Number(error.data["status"]))) return;
    throw this.#lost("another state", error);
  }

  #lost(there: string, cause?: RegistryError): RegistryError {
    const message = `${this.#what}: the registry has ${there}, expected ${this.#offset} bytes`;
    return new RegistryError("registry.upload-lost", message, { cause, data: { expected: this.#offset } });
  }
}
