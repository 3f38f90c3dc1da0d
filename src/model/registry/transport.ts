/** HTTP requests to a registry and to where it sends us, over undici. No retries, no credentials of its own. */
import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { InterruptedError, RegistryError } from "../../lib/errors.ts";
import { throwIfInterrupted } from "../host-io/interrupt.ts";
import { malformedAnswer, networkError, resolveUrl, showUrl } from "./failure.ts";

export interface RequestBody {
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
}

/** A body that is at hand. */
export function bytesBody(bytes: Uint8Array): RequestBody {
  return {
    size: bytes.length,
    // oxlint-disable-next-line require-await -- the interface is that of a stream
    async *open() {
      if (bytes.length > 0) yield bytes;
    },
  };
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  /** Lower-case names. `authorization` goes to the origin of `url` and nowhere else. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  /** What is done, for messages. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** Where the answer is from, after redirects. */
  readonly url: URL;
  header(name: string): string | undefined;
  /** Ends early, with a `RegistryError` that is temporary, when the connection drops. */
  body(): AsyncIterable<Uint8Array>;
  /**
   * Reads a small body whole.
   *
   * @throws {RegistryError} `registry.malformed` when it is larger than that
   */
  load(maxSize: number): Promise<Uint8Array>;
  /** Ends an answer nobody wants to read. */
  discard(): Promise<void>;
}

/** A connection pool for each origin: certificates belong to hosts. */
export type OpenDispatcher = (origin: URL) => Promise<Dispatcher>;

const MAX_REDIRECTS = 5;

/** Statuses that name another place for the same request (RFC 9110, 15.4). */
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** A silence longer than this is a dropped connection. */
const SILENCE_MS = 60_000;

/** Larger leftovers are cheaper to drop together with the connection. */
const MAX_DISCARDED = 128 * 1024;

export class HttpTransport {
  readonly #open: OpenDispatcher;
  readonly #silenceMs: number;

  constructor(open: OpenDispatcher, silenceMs: number = SILENCE_MS) {
    this.#open = open;
    this.#silenceMs = silenceMs;
  }

  /**
   * Sends one request and follows redirects of readers. Another origin gets no credentials, and plain HTTP is not
   * where HTTPS leads.
   *
   * @throws {RegistryError} `registry.unavailable`, `registry.silent`, `registry.unreachable`, `registry.tls`,
   *   `registry.client-certificate`, `registry.redirect-refused`
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    let { headers = {}, url } = request;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#once({ ...request, headers, url });
      if (!REDIRECTS.has(response.status)) return response;
      const next = redirectTarget(request, response);
      await response.discard();
      if (redirects === MAX_REDIRECTS) throw refusedRedirect(request, url, `more than ${MAX_REDIRECTS} redirects`);
      if (next.origin !== url.origin) {
        const { authorization: _, ...others } = headers;
        headers = others;
      }
      url = next;
    }
  }

  async #once(request: HttpRequest): Promise<HttpResponse> {
    const { body, headers, method, signal, url, what } = request;
    throwIfInterrupted(signal);
    const sent = body === undefined ? undefined : Readable.from(body.open(), { objectMode: false });
    try {
      const dispatcher = await this.#open(url);
      const answer = await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: {
          "user-agent": "sealwright",
          ...headers,
          ...(body === undefined ? {} : { "content-length": String(body.size) }),
        },
        body: sent ?? null,
        headersTimeout: this.#silenceMs,
        bodyTimeout: this.#silenceMs,
        ...(signal === undefined ? {} : { signal }),
      });
      return new UndiciResponse(answer, request);
    } catch (error) {
      if (signal?.aborted === true) throw new InterruptedError();
      throw networkError(what, url, error);
    } finally {
      sent?.destroy();
    }
  }
}

class UndiciResponse implements HttpResponse {
  readonly #answer: Dispatcher.ResponseData;
  readonly #request: HttpRequest;

  constructor(answer: Dispatcher.ResponseData, request: HttpRequest) {
    this.#answer = answer;
    this.#request = request;
  }

  get status(): number {
    return this.#answer.statusCode;
  }

  get url(): URL {
    return this.#request.url;
  }

  header(name: string): string | undefined {
    const value = this.#answer.headers[name];
    return typeof value === "string" ? value : value?.join(", ");
  }

  async *body(): AsyncGenerator<Uint8Array, void, void> {
    const { signal, url, what } = this.#request;
    try {
      yield* this.#answer.body as AsyncIterable<Uint8Array>;
    } catch (error) {
      if (signal?.aborted === true) throw new InterruptedError();
      throw networkError(what, url, error);
    }
  }

  async load(maxSize: number): Promise<Uint8Array> {
    const declared = Number(this.header("content-length") ?? 0);
    const chunks: Uint8Array[] = [];
    let size = declared;
    if (declared <= maxSize) {
      size = 0;
      for await (const chunk of this.body()) {
        size += chunk.length;
        if (size > maxSize) break;
        chunks.push(chunk);
      }
    }
    if (size <= maxSize) return Buffer.concat(chunks, size);
    await this.discard();
    throw malformedAnswer(this.#request.what, this.url, `at most ${maxSize} bytes`, `${size} or more`);
  }

  async discard(): Promise<void> {
    await this.#answer.body.dump({ limit: MAX_DISCARDED }).catch(() => {});
  }
}

function redirectTarget(request: HttpRequest, response: HttpResponse): URL {
  const location = response.header("location");
  const next = location === undefined ? undefined : resolveUrl(location, response.url);
  if (next === undefined) throw malformedAnswer(request.what, response.url, "a place in Location", "none");
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw refusedRedirect(request, response.url, `${request.method} sent on to ${next.host}`);
  }
  const { protocol } = response.url;
  if (next.protocol !== protocol && next.protocol !== "https:") {
    throw refusedRedirect(request, response.url, `from ${protocol} to ${next.protocol}`);
  }
  next.username = "";
  next.password = "";
  return next;
}

function refusedRedirect({ what }: HttpRequest, url: URL, why: string): RegistryError {
  return new RegistryError("registry.redirect-refused", `${what}: ${url.host}: ${why}`, {
    data: { url: showUrl(url) },
  });
}
