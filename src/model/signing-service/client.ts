/** A client of the signing service: what builders and approvers ask of it, over HTTPS. */
import type { Agent } from "undici";
import { FormatError, InterruptedError, quote, SealwrightError, ServiceError, UsageError } from "../../lib/errors.ts";
import type { RequestDetails, RequestView, SessionView, SignatureView } from "./api.ts";

export interface ServiceAddress {
  /** `https://HOST[:PORT]`. */
  readonly url: string;
  readonly token?: string | undefined;
  /** PEM of the authority that the service's certificate is to come from, instead of those of the system. */
  readonly authority?: string | undefined;
  /** PEM of our certificate, and of its key. */
  readonly client?: { readonly certificate: string; readonly key: string } | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Largest answer; the review of a request is in it. */
const MAX_ANSWER_SIZE = 32 << 20;

const CONNECT_TIMEOUT_MS = 15_000;

/** A review of a large image holds up no answer, so this is a dropped connection. */
const SILENCE_MS = 60_000;

export class ServiceClient implements AsyncDisposable {
  readonly #url: URL;
  readonly #agent: Agent;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal | undefined;

  private constructor(address: ServiceAddress, url: URL, agent: Agent) {
    this.#url = url;
    this.#agent = agent;
    this.#headers = address.token === undefined ? {} : { authorization: `Bearer ${address.token}` };
    this.#signal = address.signal;
  }

  /** @throws {UsageError} `service.url` for an address that would show the token to others */
  static async open(address: ServiceAddress): Promise<ServiceClient> {
    const url = requireUrl(address.url);
    const { Agent } = await import("undici");
    const { authority, client } = address;
    const connect = {
      timeout: CONNECT_TIMEOUT_MS,
      ...(authority === undefined ? {} : { ca: authority }),
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
    };
    return new ServiceClient(address, url, new Agent({ connect, headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS }));
  }

  session(): Promise<SessionView> {
    return this.#json("GET", "session");
  }

  list(states: readonly string[] = []): Promise<{ readonly requests: readonly RequestView[] }> {
    const query = states.map((state) => `state=${encodeURIComponent(state)}`).join("&");
    return this.#json("GET", `requests${query === "" ? "" : `?${query}`}`);
  }

  find(id: string): Promise<RequestDetails> {
    return this.#json("GET", `requests/${encodeURIComponent(id)}`);
  }

  /** @param document `request.json` */
  submit(document: Uint8Array): Promise<RequestDetails> {
    return this.#json("POST", "requests", { type: "application/json", content: document });
  }

  async putFile(id: string, name: string, size: number, content: AsyncIterable<Uint8Array>): Promise<RequestView> {
    const path = `requests/${encodeURIComponent(id)}/files/${encodeURIComponent(name)}`;
    return await this.#json("PUT", path, { type: "application/octet-stream", content, size });
  }

  /** @param approval signed, as `sealwright sign-request --approve` writes it */
  decide(id: string, approval: Uint8Array): Promise<RequestDetails> {
    const path = `requests/${encodeURIComponent(id)}/decisions`;
    return this.#json("POST", path, { type: "application/json", content: approval });
  }

  signatures(id: string): Promise<{ readonly signatures: readonly SignatureView[] }> {
    return this.#json("GET", `requests/${encodeURIComponent(id)}/signatures`);
  }

  /** The audit log, one JSON document a line. */
  async audit(): Promise<Uint8Array> {
    return await this.#send("GET", "audit");
  }

  /** How far the audit log goes, signed: a log that is read afterwards goes at least so far. */
  async auditHead(): Promise<Uint8Array> {
    return await this.#send("GET", "audit/head");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #json<T>(method: "GET" | "POST" | "PUT", path: string, body?: Body): Promise<T> {
    const bytes = await this.#send(method, path, body);
    try {
      return JSON.parse(Buffer.from(bytes).toString("utf8")) as T;
    } catch (cause) {
      throw new FormatError(
        "service.answer",
        { what: `answer of ${this.#url.host}`, expected: "JSON", found: "something else" },
        { cause },
      );
    }
  }

  async #send(method: "GET" | "POST" | "PUT", path: string, body?: Body): Promise<Uint8Array> {
    const { request } = await import("undici");
    const url = new URL(`api/v1/${path}`, this.#url);
    try {
      const answer = await request(url, {
        method,
        dispatcher: this.#agent,
        headers: {
          ...this.#headers,
          accept: "application/json",
          ...(body === undefined ? {} : { "content-type": body.type }),
          ...(body?.size === undefined ? {} : { "content-length": String(body.size) }),
        },
        body: body === undefined ? null : body.content instanceof Uint8Array ? body.content : (body.content as never),
        ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      });
      const bytes = await load(answer.body);
      if (answer.statusCode < 300) return bytes;
      throw refused(answer.statusCode, bytes, url);
    } catch (error) {
      if (this.#signal?.aborted === true) throw new InterruptedError();
      throw error instanceof SealwrightError ? error : unreachable(error, url);
    }
  }
}

interface Body {
  readonly type: string;
  readonly content: Uint8Array | AsyncIterable<Uint8Array>;
  readonly size?: number;
}

/** A token goes over HTTPS, or stays on this machine. */
function requireUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const loopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url?.hostname ?? "");
  if (url?.protocol === "https:" || (url?.protocol === "http:" && loopback)) {
    return new URL(url.pathname.endsWith("/") ? url : `${url.origin}${url.pathname}/`);
  }
  throw new UsageError("service.url", `address of the signing service: found ${quote(text)}, expected https://HOST`);
}

async function load(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER_SIZE) {
      throw new FormatError("service.answer", {
        what: "answer of the signing service",
        expected: `at most ${MAX_ANSWER_SIZE} bytes`,
        found: "more",
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

const CODE = /^[a-z0-9]+(?:[.-][a-z0-9]+)+$/;

function refused(status: number, bytes: Uint8Array, url: URL): ServiceError {
  const { code, hint, message } = failureIn(bytes);
  const data = { status, temporary: status === 429 || status >= 500 };
  if (code !== undefined && message !== undefined && CODE.test(code)) {
    return new ServiceError(code, message, { ...(hint === undefined ? {} : { hint }), data });
  }
  return new ServiceError("service.answer", `${url.host} answered with status ${status}`, { data });
}

const text = (value: unknown) => (typeof value === "string" ? value : undefined);

function failureIn(bytes: Uint8Array): { code?: string; message?: string; hint?: string } {
  try {
    const { error } = JSON.parse(Buffer.from(bytes).toString("utf8")) as { error?: Record<string, unknown> };
    const [code, message, hint] = [text(error?.["code"]), text(error?.["message"]), text(error?.["hint"])];
    return { ...(code && { code }), ...(message && { message }), ...(hint && { hint }) };
  } catch {
    return {};
  }
}

function unreachable(error: unknown, url: URL): ServiceError {
  const { code = "", message = String(error) } = error as { code?: string; message?: string };
  const tls = /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_|UNABLE_TO|SELF_SIGNED)/.test(code);
  const said = tls ? `its certificate does not hold: ${message}` : message;
  return new ServiceError(tls ? "service.tls" : "service.unreachable", `signing service ${url.host}: ${said}`, {
    data: { temporary: !tls },
    hint: tls ? "name the authority of its certificate with --ca" : "is the address right, and the service running?",
  });
}
