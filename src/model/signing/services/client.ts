/** HTTP to key services: small JSON documents, bounded in time and size; secrets stay out of what is said about it. */
import { getCACertificates } from "node:tls";
import type { Dispatcher } from "undici";
import * as v from "valibot";
import { InterruptedError, PolicyError, quote, ServiceError } from "../../../lib/errors.ts";
import { throwIfInterrupted } from "../../host-io/interrupt.ts";
import { pause } from "../../host-io/process.ts";
import { proxyOf } from "../../host-io/proxy.ts";
import type { Environment } from "../signing-key.ts";

export interface ServiceRequest {
  /** What is being done, for messages: `AWS KMS: sign`. */
  readonly what: string;
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** There is nothing secret in it, and the answer proves itself: it may travel in the clear. */
  readonly public?: boolean;
}

export interface ServiceClientOptions {
  readonly env?: Environment | undefined;
  readonly signal?: AbortSignal | undefined;
  /** PEM of authorities to trust besides those of the system. */
  readonly authorities?: readonly string[];
  /** Of one attempt, from connecting to the last byte. */
  readonly timeoutMs?: number;
  /** Waits before the second and each further attempt. */
  readonly retryDelaysMs?: readonly number[];
}

/** A signature takes a service some tens of milliseconds, an HSM behind it a second. */
const TIMEOUT_MS = 30_000;
const RETRY_DELAYS_MS = [300, 1500];

/** Safety limit: the largest true answer is a public key with its description, some KiB. */
const MAX_ANSWER = 64 * 1024;

/** Worth another attempt: signing twice does no harm. */
const TEMPORARY = new Set([408, 429, 500, 502, 503, 504]);

/** AWS answers 400 to all of these, and tells them apart by name. */
const AWS_TEMPORARY = /^(?:[\w.]+#)?(?:Throttling|TooManyRequests|LimitExceeded)/;
const AWS_DENIED = /^(?:[\w.]+#)?(?:AccessDenied|UnrecognizedClient|InvalidSignature|IncompleteSignature|ExpiredToken)/;

/** Members in which services say what is wrong: AWS; Google and Azure; OAuth 2.0; Vault. */
const failureSchema = v.object({
  __type: v.optional(v.string()),
  message: v.optional(v.string()),
  Message: v.optional(v.string()),
  error: v.optional(
    v.union([
      v.string(),
      v.object({ status: v.optional(v.string()), code: v.optional(v.unknown()), message: v.optional(v.string()) }),
    ]),
  ),
  error_description: v.optional(v.string()),
  errors: v.optional(v.array(v.string())),
});

export class ServiceClient implements AsyncDisposable {
  readonly #options: ServiceClientOptions;
  readonly #secrets = new Set<string>();
  #dispatchers = new Map<string, Promise<Dispatcher>>();

  constructor(options: ServiceClientOptions = {}) {
    this.#options = options;
  }

  /** Takes a secret out of everything that is said from now on. */
  hide(secret: string | undefined): void {
    if (secret !== undefined && secret !== "") this.#secrets.add(secret);
  }

  /**
   * Asks for a JSON document.
   *
   * @throws {ServiceError} `signer.service-unreachable`, `signer.service-timeout`, `signer.service-unavailable`,
   *   `signer.service-denied`, `signer.service-refused`, `signer.service-answer`
   * @throws {PolicyError} `signer.endpoint-insecure`
   */
  async json<T>(request: ServiceRequest, schema: v.GenericSchema<unknown, T>): Promise<T> {
    const text = Buffer.from(await this.bytes(request)).toString("utf8");
    const parsed = v.safeParse(schema, parseJson(text));
    if (parsed.success) return parsed.output;
    throw this.malformed(request, "a document of another shape");
  }

  /** Asks for bytes; refusals as `json`. */
  async bytes(request: ServiceRequest): Promise<Uint8Array> {
    if (request.public !== true) requireSecure(request.url);
    const delays = this.#options.retryDelaysMs ?? RETRY_DELAYS_MS;
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#attempt(request);
      if (!(outcome instanceof ServiceError)) return outcome;
      const delay = delays[attempt];
      if (delay === undefined || outcome.data["temporary"] !== true) throw outcome;
      await pause(delay, this.#options.signal);
    }
  }

  /** An answer that cannot be one to this request. */
  malformed({ what, url }: ServiceRequest, found: string): ServiceError {
    return new ServiceError("signer.service-answer", `${what}: ${url.host} answered with ${this.#clean(found)}`, {
      data: { host: url.host },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = await Promise.allSettled(this.#dispatchers.values());
    this.#dispatchers.clear();
    for (const each of open) if (each.status === "fulfilled") await each.value.destroy();
  }

  async #attempt(request: ServiceRequest): Promise<Uint8Array | ServiceError> {
    const { signal, timeoutMs = TIMEOUT_MS } = this.#options;
    throwIfInterrupted(signal);
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const dispatcher = await this.#dispatcher(request.url);
      const answer = await dispatcher.request({
        origin: request.url.origin,
        path: `${request.url.pathname}${request.url.search}`,
        method: request.method,
        headers: { "user-agent": "sealwright", ...request.headers },
        body: request.body ?? null,
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      const body = await readLimited(answer.body);
      if (body === undefined) return this.malformed(request, `more than ${MAX_ANSWER} bytes`);
      return answer.statusCode === 200 ? body : this.#refusal(request, answer.statusCode, body);
    } catch (error) {
      if (signal?.aborted === true) throw new InterruptedError();
      return networkError(request, error, timeout.aborted ? timeoutMs : undefined);
    }
  }

  #refusal({ what, url }: ServiceRequest, status: number, body: Uint8Array): ServiceError {
    const texts = failureTexts(body);
    const temporary = TEMPORARY.has(status) || texts.some((text) => AWS_TEMPORARY.test(text));
    const denied = status === 401 || status === 403 || texts.some((text) => AWS_DENIED.test(text));
    const code = temporary ? "unavailable" : denied ? "denied" : "refused";
    const said = texts.map((text) => quote(this.#clean(text)).slice(1, -1)).join(": ");
    const message = `${what}: ${url.host} answered ${status}${said === "" ? "" : `: ${said}`}`;
    return new ServiceError(`signer.service-${code}`, message, { data: { host: url.host, status, temporary } });
  }

  #clean(text: string): string {
    const secrets = [...this.#secrets].toSorted((a, b) => b.length - a.length);
    return secrets.reduce((shown, secret) => shown.replaceAll(secret, "[secret]"), text);
  }

  #dispatcher(url: URL): Promise<Dispatcher> {
    const open = this.#dispatchers.get(url.origin) ?? this.#connect(url);
    this.#dispatchers.set(url.origin, open);
    return open;
  }

  async #connect(url: URL): Promise<Dispatcher> {
    const { Agent, EnvHttpProxyAgent } = await import("undici");
    if (url.protocol === "http:") return new Agent({ connections: 1 });
    const ca = [...getCACertificates("default"), ...getCACertificates("system"), ...(this.#options.authorities ?? [])];
    const options = { connections: 1, connect: { ca } };
    const proxy = proxyOf(this.#options.env ?? {});
    return proxy === undefined
      ? new Agent(options)
      : new EnvHttpProxyAgent({ ...options, ...proxy, requestTls: { ca } });
  }
}

/** Where instances find their credentials, and this machine: what is said to them does not leave it. */
const LOCAL_HOSTS = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|169\.254\.\d+\.\d+|metadata\.google\.internal)$/;

function requireSecure({ protocol, hostname, host }: URL): void {
  if (protocol === "https:" || (protocol === "http:" && LOCAL_HOSTS.test(hostname))) return;
  const message = `${protocol}//${host}: found ${protocol.slice(0, -1)}, expected https`;
  throw new PolicyError("signer.endpoint-insecure", message, { hint: "only endpoints on this machine may be http" });
}

/** Nothing when it is longer than the limit. */
async function readLimited(body: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failureTexts(body: Uint8Array): string[] {
  const parsed = v.safeParse(failureSchema, parseJson(Buffer.from(body).toString("utf8")));
  if (!parsed.success) return [];
  const { __type, message, Message, error, error_description, errors = [] } = parsed.output;
  const nested = typeof error === "string" ? [error] : [error?.status, error?.message];
  const parts = [__type, message, Message, ...nested, error_description, ...errors];
  return parts.filter((part) => part !== undefined).slice(0, 3);
}

/** @param timeoutMs when it is what ended the attempt */
function networkError({ what, url }: ServiceRequest, error: unknown, timeoutMs: number | undefined): ServiceError {
  const data = { host: url.host, temporary: true };
  if (timeoutMs !== undefined) {
    return new ServiceError("signer.service-timeout", `${what}: ${url.host}: no answer in ${timeoutMs / 1000} s`, {
      data,
    });
  }
  const reason = codeOf(error);
  return new ServiceError("signer.service-unreachable", `${what}: ${url.host}: ${reason}`, {
    data: { ...data, reason },
  });
}

/** The innermost code: undici wraps what the socket says. The message may hold anything. */
function codeOf(error: unknown): string {
  const { cause, code } = error as { cause?: unknown; code?: unknown };
  if (cause instanceof Error) return codeOf(cause);
  return typeof code === "string" ? code : "connection failed";
}
