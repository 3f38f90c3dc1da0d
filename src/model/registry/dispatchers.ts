/** Connection pools, one for each origin, with the certificates of its host and the proxy of the environment. */
import { getCACertificates } from "node:tls";
import type { Dispatcher } from "undici";
import { proxyOf } from "../host-io/proxy.ts";
import { loadCertificates } from "./certificates.ts";
import type { RegistryEnvironment } from "./environment.ts";

/** Connecting takes a round trip or three. */
const CONNECT_TIMEOUT_MS = 30_000;

/** To one origin at a time: a registry sees a few blobs, not a crowd. */
const MAX_CONNECTIONS = 8;

export class Dispatchers implements AsyncDisposable {
  readonly #environment: RegistryEnvironment;
  readonly #open = new Map<string, Promise<Dispatcher>>();

  constructor(environment: RegistryEnvironment) {
    this.#environment = environment;
  }

  /** @param verified whether the certificate of the host has to hold */
  get(url: URL, verified: boolean): Promise<Dispatcher> {
    const key = `${url.origin} ${verified}`;
    const open = this.#open.get(key) ?? this.#connect(url, verified);
    this.#open.set(key, open);
    return open;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    for (const each of open) if (each.status === "fulfilled") await each.value.destroy();
  }

  async #connect(url: URL, verified: boolean): Promise<Dispatcher> {
    const { Agent, EnvHttpProxyAgent } = await import("undici");
    const tls = url.protocol === "https:" ? await this.#tls(url.host, verified) : {};
    const options = { connections: MAX_CONNECTIONS, connect: { ...tls, timeout: CONNECT_TIMEOUT_MS } };
    const proxy = proxyOf(this.#environment.env);
    return proxy === undefined ? new Agent(options) : new EnvHttpProxyAgent({ ...options, ...proxy, requestTls: tls });
  }

  async #tls(host: string, verified: boolean) {
    const { authorities, client } = await loadCertificates(host, this.#environment);
    return {
      rejectUnauthorized: verified,
      ca: [...getCACertificates("default"), ...getCACertificates("system"), ...authorities],
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
    };
  }
}
