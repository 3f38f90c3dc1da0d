/** From what a registry or the network says to a `RegistryError`. No message holds a query, a header or a credential. */
import * as v from "valibot";
import { quote, RegistryError, SealwrightError } from "../../lib/errors.ts";
import { parseAnswer } from "./parse-answer.ts";
import type { HttpResponse } from "./transport.ts";

/** Safety limit on what is read of an error's body; the specification's have a line or two. */
const MAX_ERROR_BODY = 64 * 1024;

/** OCI distribution specification 1.1, "Error Codes". */
const errorBody = v.object({
  errors: v.array(v.object({ code: v.string(), message: v.nullish(v.string()) })),
});

const CODE_BY_STATUS: ReadonlyMap<number, string> = new Map([
  [401, "registry.unauthorized"],
  [403, "registry.denied"],
  [404, "registry.not-found"],
  [429, "registry.rate-limited"],
]);

const TEMPORARY = new Set([408, 429, 500, 502, 503, 504]);

const HINTS: ReadonlyMap<string, string> = new Map([
  ["registry.unauthorized", "log in first: skopeo login, podman login or docker login; or name a file with --authfile"],
  ["registry.denied", "the account in use may not do this"],
  ["registry.client-certificate", "put NAME.cert and NAME.key into ~/.config/containers/certs.d/HOST[:PORT]/"],
  ["registry.tls", "put the registry's CA into ~/.config/containers/certs.d/HOST[:PORT]/ca.crt"],
]);

/** Path and host of a URL: queries hold signatures and tokens of storage services. */
export const showUrl = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`;

/** What a header says of another place, or nothing when it is no URL. */
export function resolveUrl(text: string, base: URL): URL | undefined {
  return URL.canParse(text, base.href) ? new URL(text, base) : undefined;
}

/** Reads the body of an answer that is no success, up to a limit. */
export async function responseError(what: string, response: HttpResponse, now: number): Promise<RegistryError> {
  const { status, url } = response;
  const said = await errorText(response);
  const unavailable = TEMPORARY.has(status) ? "registry.unavailable" : "registry.refused";
  const retryAfterMs = retryAfter(response.header("retry-after"), now);
  return makeError(
    CODE_BY_STATUS.get(status) ?? unavailable,
    `${what}: ${url.host} answered ${status}${said === "" ? "" : `: ${said}`}`,
    { status, url: showUrl(url), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    { temporary: TEMPORARY.has(status) },
  );
}

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), in milliseconds from now. */
export function retryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

async function errorText(response: HttpResponse): Promise<string> {
  const bytes = await response.load(MAX_ERROR_BODY).catch(() => undefined);
  const answer = bytes === undefined ? undefined : parseAnswer(errorBody, bytes);
  const said = (answer?.errors ?? []).slice(0, 3);
  return said.map(({ code, message }) => `${code.slice(0, 40)}${message ? ` ${quote(message)}` : ""}`).join(", ");
}

/** Codes of OpenSSL and Node for a chain that does not hold. */
const TLS_FAULT =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_OSSL_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/** Alerts of a server that wants a certificate of the client, another one, or none of this kind (RFC 8446, 6.2). */
const CLIENT_FAULT =
  /_ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED)$/;

/** What codes of sockets and of undici mean, for people. */
const NETWORK_FAULTS: Readonly<Record<string, readonly [cause: string, sentence: string]>> = {
  ECONNREFUSED: ["registry.unavailable", "nothing listens there"],
  ECONNRESET: ["registry.unavailable", "the connection was dropped"],
  EAI_AGAIN: ["registry.unreachable", "the name server does not answer"],
  EHOSTUNREACH: ["registry.unreachable", "no route to it"],
  ENETUNREACH: ["registry.unreachable", "no route to it"],
  ETIMEDOUT: ["registry.unreachable", "it does not answer"],
  UND_ERR_CONNECT_TIMEOUT: ["registry.unreachable", "it does not answer"],
  UND_ERR_HEADERS_TIMEOUT: ["registry.silent", "it took the request and fell silent"],
  UND_ERR_BODY_TIMEOUT: ["registry.silent", "it fell silent in the middle of an answer"],
  UND_ERR_SOCKET: ["registry.unavailable", "the connection was dropped"],
};

/** What a request without an answer died of. Refusals of our own, from the body that was sent, stay what they are. */
export function networkError(what: string, url: URL, error: unknown): SealwrightError {
  if (error instanceof SealwrightError) return error;
  const code = codeOf(error);
  const data = { url: showUrl(url), reason: code };
  if (CLIENT_FAULT.test(code)) {
    return makeError("registry.client-certificate", `${what}: ${url.host}: refused who we are: ${code}`, data);
  }
  if (TLS_FAULT.test(code)) return makeError("registry.tls", `${what}: ${url.host}: TLS: ${code}`, data);
  if (code === "ENOTFOUND") return makeError("registry.unreachable", `${what}: no such host: ${url.hostname}`, data);
  const [cause, sentence] = NETWORK_FAULTS[code] ?? ["registry.unavailable", code];
  return makeError(cause, `${what}: ${url.host}: ${sentence}`, data, { temporary: true });
}

/** The innermost code: undici wraps what the socket says, and several addresses give several errors. */
export function codeOf(error: unknown): string {
  const { cause, code, errors, name } = error as {
    cause?: unknown;
    code?: unknown;
    errors?: readonly unknown[];
    name?: string;
  };
  if (cause instanceof Error) return codeOf(cause);
  if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  return typeof code === "string" ? code : (name ?? "unknown");
}

function makeError(
  code: string,
  message: string,
  data: Readonly<Record<string, unknown>>,
  { temporary = false } = {},
): RegistryError {
  const hint = HINTS.get(code);
  return new RegistryError(code, message, { data, temporary, ...(hint === undefined ? {} : { hint }) });
}

export function malformedAnswer(what: string, url: URL, expected: string, found: string): RegistryError {
  return new RegistryError("registry.malformed", `${what}: ${url.host}: found ${found}, expected ${expected}`, {
    data: { url: showUrl(url), expected, found },
  });
}
