import { RegistryError } from "../../lib/errors.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { basicAuthorization, type Credential } from "./credential.ts";
import type { Pacing } from "./retry.ts";
import { type AccessToken, requestToken } from "./token-service.ts";
import type { HttpTransport } from "./transport.ts";

export interface AuthorizerOptions {
  readonly transport: HttpTransport;
  /** Of the registry. */
  readonly origin: URL;
  readonly pacing: Pacing;
  /** Asked once, and only when the registry wants to know. */
  readonly findCredential: () => Promise<Credential | undefined>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Answers the challenge of one registry: nothing until it asks, then `Basic`, or `Bearer` with a token for each set of
 * scopes, asked for once and kept while it lives.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  #challenge: Challenge | undefined;
  #credential: Promise<Credential | undefined> | undefined;
  readonly #tokens = new Map<string, Promise<AccessToken>>();

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** The `Authorization` header for a request with these scopes. */
  async header(scopes: readonly string[]): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    this.#credential ??= this.#options.findCredential();
    const credential = await this.#credential;
    if (challenge.scheme === "basic") {
      return credential?.kind === "password" ? basicAuthorization(credential.user, credential.password) : undefined;
    }
    if (credential?.kind === "access-token") return `Bearer ${credential.token}`;
    return `Bearer ${await this.#token(challenge, scopes, credential)}`;
  }

  /**
   * Takes the challenge of an answer 401 and forgets the token that was refused.
   *
   * @param refused the header of the request
   * @returns the header to try instead, if there is one
   */
  async learn(
    challenges: string | undefined,
    scopes: readonly string[],
    refused: string | undefined,
  ): Promise<string | undefined> {
    const known = parseChallenges(challenges ?? "");
    const challenge = PREFERRED.flatMap((scheme) => known.find((each) => each.scheme === scheme) ?? [])[0];
    if (challenge === undefined) return undefined;
    this.#challenge = challenge;
    const key = scopes.join(" ");
    const kept = await this.#tokens.get(key)?.catch(() => undefined);
    // Requests that ran side by side were refused the same token: the first to come here replaces it.
    if (kept !== undefined && `Bearer ${kept.token}` === refused) this.#tokens.delete(key);
    const header = await this.header(scopes);
    return header === refused ? undefined : header;
  }

  async #token(challenge: Challenge, scopes: readonly string[], credential: Credential | undefined): Promise<string> {
    const { origin, pacing, signal, transport } = this.#options;
    const key = scopes.join(" ");
    const kept = this.#tokens.get(key);
    if (kept !== undefined) {
      const token = await kept;
      if (token.expiresAt > pacing.now()) return token.token;
    }
    const realm = requireRealm(challenge, origin);
    const asked = requestToken(transport, { realm, challenge, scopes, credential, signal }, pacing);
    this.#tokens.set(key, asked);
    try {
      return (await asked).token;
    } catch (error) {
      this.#tokens.delete(key);
      throw error;
    }
  }
}

/** Schemes that we speak. */
const PREFERRED = ["bearer", "basic"];

/** A password that came over TLS so far does not go on without it. */
function requireRealm({ parameters }: Challenge, origin: URL): URL {
  const text = parameters.get("realm") ?? "";
  const realm = URL.canParse(text) ? new URL(text) : undefined;
  const safe = realm?.protocol === "https:" || (realm?.protocol === "http:" && origin.protocol === "http:");
  if (realm !== undefined && safe) return realm;
  throw new RegistryError(
    "registry.challenge-refused",
    `${origin.host}: asks for a token of no service that can be trusted with it`,
    { data: { registry: origin.host, protocol: realm?.protocol ?? null } },
  );
}
