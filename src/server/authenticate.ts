/** Who sent a request: by its bearer token, the cookie of the page, or the certificate of its connection. */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Context } from "hono";
import { getCookie } from "hono/cookie";
import { PolicyError, VerificationError } from "../lib/errors.ts";
import {
  authenticateCertificate,
  authenticateToken,
  type Client,
  type SigningQueue,
} from "../model/signing-queue/index.ts";

/** Browsers take a cookie with this prefix over HTTPS only, for this host alone (RFC 6265bis, 4.1.3.2). */
export const cookieName = (tls: boolean): string => (tls ? "__Host-sealwright" : "sealwright");

/**
 * @throws {VerificationError} `service.unauthenticated`, `service.token-wrong`, `service.access-revoked`,
 *   `service.certificate-untrusted`, `service.certificate-unknown`
 */
export async function authenticate(context: Context, queue: SigningQueue, tls: boolean): Promise<Client> {
  const token = bearerToken(context) ?? getCookie(context, cookieName(tls));
  if (token !== undefined) return await authenticateToken(queue, token);
  const certificate = clientCertificate(context);
  if (certificate !== undefined) return await authenticateCertificate(queue, certificate);
  throw new VerificationError("service.unauthenticated", "there is neither a token nor a client certificate", {
    hint: "send Authorization: Bearer TOKEN, or connect with a client certificate",
  });
}

export function bearerToken(context: Context): string | undefined {
  return /^Bearer +(?<token>\S+)$/i.exec(context.req.header("authorization") ?? "")?.groups?.["token"];
}

/** Of a connection whose other end has proved to have the key, to a certificate of our authority. */
function clientCertificate(context: Context): Uint8Array | undefined {
  const socket = socketOf(context);
  if (socket === undefined || !("getPeerCertificate" in socket)) return undefined;
  const { raw } = (socket as TLSSocket).getPeerCertificate();
  if (raw === undefined) return undefined;
  if ((socket as TLSSocket).authorized) return raw;
  throw new VerificationError(
    "service.certificate-untrusted",
    "the client certificate is not one of the authority of this service",
  );
}

/** Requests that did not come over a socket are those of tests. */
export function socketOf(context: Context): IncomingMessage["socket"] | undefined {
  return (context.env as { incoming?: IncomingMessage } | undefined)?.incoming?.socket;
}

const SAFE_METHODS = new Set(["GET", "HEAD"]);

/**
 * Browsers send cookies and certificates along for whoever asks them to; what changes something is to come from our own
 * page, or from no page at all.
 *
 * @throws {PolicyError} `service.cross-origin`
 */
export function requireSameOrigin(context: Context): void {
  if (SAFE_METHODS.has(context.req.method)) return;
  const origin = context.req.header("origin");
  const site = context.req.header("sec-fetch-site") ?? "same-origin";
  const host = context.req.header("host");
  const ours = origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
  if (ours && (site === "same-origin" || site === "none")) return;
  throw new PolicyError("service.cross-origin", "the request came from the page of somebody else");
}
