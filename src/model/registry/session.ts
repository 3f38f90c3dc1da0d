import type { RegistryError } from "../../lib/errors.ts";
import { Authorizer, type AuthorizerOptions } from "./authorizer.ts";
import { responseError } from "./failure.ts";
import { Attempts, type Pacing } from "./retry.ts";
import type { HttpRequest, HttpResponse, HttpTransport } from "./transport.ts";

export interface RegistryRequest extends Omit<HttpRequest, "url" | "signal"> {
  /** In the origin of the registry, or whole. */
  readonly url: string | URL;
  readonly scopes: readonly string[];
  /** Statuses that are an answer and no error. */
  readonly accept: readonly number[];
}

/** Requests to one registry, with credentials where they belong and further attempts where they help. */
export class Session {
  readonly origin: URL;
  readonly pacing: Pacing;
  readonly signal: AbortSignal | undefined;
  readonly #transport: HttpTransport;
  readonly #authorizer: Authorizer;

  constructor(options: AuthorizerOptions) {
    this.origin = options.origin;
    this.pacing = options.pacing;
    this.signal = options.signal;
    this.#transport = options.transport;
    this.#authorizer = new Authorizer(options);
  }

  /** Counts failures of something that takes several requests. */
  attempts(): Attempts {
    return new Attempts(this.pacing, this.signal);
  }

  /** As `sendOnce`, again while the failure is a temporary one. */
  async send(request: RegistryRequest): Promise<HttpResponse> {
    const attempts = this.attempts();
    for (;;) {
      try {
        return await this.sendOnce(request);
      } catch (error) {
        await attempts.afterFailure(error);
      }
    }
  }

  /**
   * Sends a request, and once more when the registry asks who we are.
   *
   * @throws {RegistryError} for every status that is not among `accept`
   */
  async sendOnce(request: RegistryRequest): Promise<HttpResponse> {
    let response = await this.#authorized(request);
    // A challenge of another host, after a redirect, is none of ours.
    const asked = response.status === 401 && response.url.origin === this.origin.origin;
    if (asked && this.#authorizer.learn(response.header("www-authenticate"), request.scopes)) {
      await response.discard();
      response = await this.#authorized(request);
    }
    if (request.accept.includes(response.status)) return response;
    throw await this.failure(request.what, response);
  }

  failure(what: string, response: HttpResponse): Promise<RegistryError> {
    return responseError(what, response, this.pacing.now());
  }

  async #authorized({ body, method, scopes, what, ...request }: RegistryRequest): Promise<HttpResponse> {
    const url = new URL(request.url, this.origin);
    const authorization = url.origin === this.origin.origin ? await this.#authorizer.header(scopes) : undefined;
    const headers = { ...request.headers, ...(authorization === undefined ? {} : { authorization }) };
    const sent = body === undefined ? {} : { body };
    return await this.#transport.send({ method, url, headers, what, signal: this.signal, ...sent });
  }
}
