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
    const sent = await this.#authorization(request);
    let response = await this.#sendAs(request, sent);
    // A challenge of another host, after a redirect, is none of ours.
    if (response.status === 401 && response.url.origin === this.origin.origin) {
      const challenges = response.header("www-authenticate");
      const better = await this.#authorizer.learn(challenges, request.scopes, sent);
      if (better !== undefined) {
        await response.discard();
        response = await this.#sendAs(request, better);
      }
    }
    if (request.accept.includes(response.status)) return response;
    throw await this.failure(request.what, response);
  }

  failure(what: string, response: HttpResponse): Promise<RegistryError> {
    return responseError(what, response, this.pacing.now());
  }

  /** Credentials stay in the origin of the registry. */
  async #authorization({ scopes, url }: RegistryRequest): Promise<string | undefined> {
    const { origin } = new URL(url, this.origin);
    return origin === this.origin.origin ? await this.#authorizer.header(scopes) : undefined;
  }

  async #sendAs(request: RegistryRequest, authorization: string | undefined): Promise<HttpResponse> {
    const { body, method, what } = request;
    return await this.#transport.send({
      method,
      url: new URL(request.url, this.origin),
      headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
      what,
      signal: this.signal,
      ...(body === undefined ? {} : { body }),
    });
  }
}
