/** The socket: HTTPS, or plain HTTP on this machine when it was asked for by name. */
import { createServer as createHttp, type Server } from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, isIP } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { InputOutputError, UsageError } from "../lib/errors.ts";
import { errnoOf } from "../model/host-io/errors.ts";

export interface TlsFiles {
  /** PEM: certificate and those between it and its authority. */
  readonly certificate: string;
  readonly key: string;
  /** PEM of the authority of client certificates; without one no certificate is asked for. */
  readonly clientAuthority: string | undefined;
}

export interface ListenOptions {
  /** `HOST:PORT`, `[ADDRESS]:PORT`; port 0 takes any free one. */
  readonly listen: string;
  readonly tls: TlsFiles | undefined;
  /** Plain HTTP, which only this machine can speak to. */
  readonly allowHttp: boolean;
}

export interface Listening {
  readonly url: string;
  /** Takes no new connections, lets requests end, and ends those that do not. */
  close(): Promise<void>;
}

/** The largest body takes some minutes on a slow line. */
const REQUEST_TIMEOUT_MS = 10 * 60_000;
const HEADERS_TIMEOUT_MS = 15_000;
const KEEP_ALIVE_MS = 30_000;
const MAX_HEADER_SIZE = 16 << 10;
const MAX_CONNECTIONS = 512;
const GRACE_MS = 10_000;

/** A server that does not listen yet: what is wrong with its address and its certificate is known before anything else. */
export interface Listener {
  /** @throws {InputOutputError} `service.listen-failed` */
  listen(fetch: Parameters<typeof getRequestListener>[0]): Promise<Listening>;
}

/** @throws {UsageError} `service.listen`, `service.tls-missing`, `service.http-refused`, `service.tls-files` */
export function createListener(options: ListenOptions): Listener {
  const { host, port } = parseAddress(options.listen);
  const server = createServer(options, host);
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.maxConnections = MAX_CONNECTIONS;
  return {
    async listen(fetch) {
      const answer = getRequestListener(fetch);
      server.on("request", (request, response) => void answer(request, response));
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, resolve);
      }).catch((error: unknown) => {
        const reason = errnoOf(error) === "EADDRINUSE" ? "somebody else listens there" : (error as Error).message;
        throw new InputOutputError("service.listen-failed", `${options.listen}: cannot listen: ${reason}`);
      });
      const { address, family, port: bound } = server.address() as AddressInfo;
      const shown = host === "localhost" ? host : family === "IPv6" ? `[${address}]` : address;
      return {
        url: `${options.tls === undefined ? "http" : "https"}://${shown}:${bound}`,
        close: () => close(server),
      };
    },
  };
}

function createServer({ allowHttp, tls }: ListenOptions, host: string): Server {
  if (tls === undefined) {
    if (!allowHttp) {
      throw new UsageError("service.tls-missing", "the service speaks HTTPS: there is no certificate for it", {
        hint: "give --tls-cert and --tls-key; for a try on this machine --insecure-http",
      });
    }
    if (!isLoopback(host)) {
      throw new UsageError(
        "service.http-refused",
        `${host}: plain HTTP is for this machine alone, on a loopback address`,
      );
    }
    return createHttp({ maxHeaderSize: MAX_HEADER_SIZE });
  }
  const { certificate: cert, clientAuthority, key } = tls;
  // Whether a certificate is one of ours is looked at by `authenticate`, which can say what is wrong with it.
  const client =
    clientAuthority === undefined ? {} : { ca: clientAuthority, requestCert: true, rejectUnauthorized: false };
  try {
    return createHttps({ cert, key, minVersion: "TLSv1.2", maxHeaderSize: MAX_HEADER_SIZE, ...client });
  } catch (error) {
    throw new UsageError("service.tls-files", `certificate and key of the service: ${(error as Error).message}`);
  }
}

function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const {
    bracketed,
    host = bracketed,
    port,
  } = /^(?:\[(?<bracketed>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  if (host === undefined || Number(port) > 65_535) {
    throw new UsageError("service.listen", `found ${JSON.stringify(text)}, expected HOST:PORT`);
  }
  return { host, port: Number(port) };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const grace = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await closed;
  clearTimeout(grace);
}
