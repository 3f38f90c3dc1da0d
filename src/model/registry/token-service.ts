/**
 * Access tokens of the service that a `Bearer` challenge names.
 *
 * @see distribution docs/spec/auth/token.md (GET) and oauth.md (POST)
 */
import * as v from "valibot";
import type { Challenge } from "./challenge.ts";
import { basicAuthorization, type Credential } from "./credential.ts";
import { malformedAnswer, responseError } from "./failure.ts";
import { parseAnswer } from "./parse-answer.ts";
import { Attempts, type Pacing } from "./retry.ts";
import { bytesBody, type HttpRequest, type HttpResponse, type HttpTransport } from "./transport.ts";

export interface AccessToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface TokenQuestion {
  readonly realm: URL;
  readonly challenge: Challenge;
  /** `repository:NAME:pull,push`. */
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Safety limit: tokens with many scopes reach some KiB. */
const MAX_TOKEN_ANSWER = 256 * 1024;

/** What a token without `expires_in` lives (token.md). */
const DEFAULT_LIFE_SECONDS = 60;

/** A token this near its end is not used any more: the request has to get there. */
const MARGIN_MS = 10_000;

const headerText = v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/));
const answerSchema = v.object({
  token: v.nullish(headerText),
  access_token: v.nullish(headerText),
  expires_in: v.nullish(v.number()),
});

/** @throws {RegistryError} `registry.unauthorized`, `registry.malformed` and whatever the transport throws */
export async function requestToken(
  transport: HttpTransport,
  question: TokenQuestion,
  pacing: Pacing,
): Promise<AccessToken> {
  const { realm, signal } = question;
  const what = `token of ${realm.host}`;
  const attempts = new Attempts(pacing, signal);
  for (;;) {
    try {
      const response = await transport.send({ ...tokenRequest(question), what, signal });
      if (response.status !== 200) throw await responseError(what, response, pacing.now());
      return await readAnswer(what, response, pacing.now());
    } catch (error) {
      await attempts.afterFailure(error);
    }
  }
}

/** An identity token goes into a form, a password into the header of a GET. */
function tokenRequest({ challenge, credential, realm, scopes }: TokenQuestion): Omit<HttpRequest, "what"> {
  const service = challenge.parameters.get("service");
  if (credential?.kind === "identity-token") {
    const form = new URLSearchParams({ grant_type: "refresh_token", refresh_token: credential.token });
    form.set("client_id", "sealwright");
    if (service !== undefined) form.set("service", service);
    form.set("scope", scopes.join(" "));
    return {
      method: "POST",
      url: realm,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: bytesBody(Buffer.from(form.toString())),
    };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (credential?.kind !== "password") return { method: "GET", url };
  url.searchParams.set("account", credential.user);
  return { method: "GET", url, headers: { authorization: basicAuthorization(credential.user, credential.password) } };
}

async function readAnswer(what: string, response: HttpResponse, now: number): Promise<AccessToken> {
  const bytes = await response.load(MAX_TOKEN_ANSWER);
  const answer = parseAnswer(answerSchema, bytes);
  const token = answer?.token ?? answer?.access_token;
  if (!token) throw malformedAnswer(what, response.url, "a token", "none");
  const life = Math.max(0, answer?.expires_in ?? DEFAULT_LIFE_SECONDS);
  return { token, expiresAt: now + Math.max(1000, life * 1000 - MARGIN_MS) };
}
