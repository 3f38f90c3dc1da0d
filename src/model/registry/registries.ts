import type { RegistryReference } from "../../formats/oci/reference.ts";
import { RegistryError } from "../../lib/errors.ts";
import { findCredential } from "./credentials.ts";
import { Dispatchers } from "./dispatchers.ts";
import type { RegistryEnvironment } from "./environment.ts";
import {
  type Location,
  loadRegistriesConf,
  type RegistriesConf,
  readLocations,
  writeLocation,
} from "./registries-conf.ts";
import { Repository } from "./repository.ts";
import type { Pacing } from "./retry.ts";
import { Session } from "./session.ts";
import { HttpTransport } from "./transport.ts";

export interface RegistriesOptions extends RegistryEnvironment {
  readonly pacing: Pacing;
  /** The only file with credentials to look into. */
  readonly authFile?: string | undefined;
  /** False: certificates need not hold, and a registry on this machine may speak plain HTTP. */
  readonly tlsVerify?: boolean | undefined;
}

/** The registries a user can reach, with credentials, certificates and `registries.conf` as they are on the machine. */
export class Registries implements AsyncDisposable {
  readonly #options: RegistriesOptions;
  readonly #dispatchers: Dispatchers;
  #conf: Promise<RegistriesConf> | undefined;

  constructor(options: RegistriesOptions) {
    this.#options = options;
    this.#dispatchers = new Dispatchers(options);
  }

  /**
   * Where to read an image: mirrors first, the place itself last. Nothing is asked of any before it is used.
   *
   * @throws {PolicyError} `registry.blocked`
   * @throws {FormatError} `registry.conf.malformed`
   */
  async readers(reference: RegistryReference, signal?: AbortSignal): Promise<readonly (() => Promise<Repository>)[]> {
    const { digest, registry, repository } = reference;
    const locations = readLocations(await this.#loadConf(), registry, repository, digest !== undefined);
    return locations.map((location) => () => this.#repository(location, signal));
  }

  /** Where to write an image. */
  async writer({ registry, repository }: RegistryReference, signal?: AbortSignal): Promise<Repository> {
    return await this.#repository(writeLocation(await this.#loadConf(), registry, repository), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatchers[Symbol.asyncDispose]();
  }

  #loadConf(): Promise<RegistriesConf> {
    this.#conf ??= loadRegistriesConf(this.#options);
    return this.#conf;
  }

  async #repository(location: Location, signal: AbortSignal | undefined): Promise<Repository> {
    const { pacing, tlsVerify = true } = this.#options;
    const { insecure, registry, repository } = location;
    const host = registry === "docker.io" ? DOCKER_HUB_HOST : registry;
    const verified = tlsVerify && !insecure;
    const transport = new HttpTransport((url) => this.#dispatchers.get(url, verified), pacing.silenceMs);
    const plainAllowed = insecure || (!tlsVerify && isLoopback(host));
    const origin = plainAllowed ? await reachableOrigin(transport, host, signal) : new URL(`https://${host}`);
    const find = () => findCredential(registry, repository, this.#options);
    return new Repository(new Session({ transport, origin, pacing, findCredential: find, signal }), repository);
  }
}

/** Docker Hub's API is not at the host of its names. */
const DOCKER_HUB_HOST = "registry-1.docker.io";

/** This machine: what goes there does not leave it. */
function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/.test(host);
}

/** TLS where it is spoken, plain HTTP where it is allowed and TLS is not. */
async function reachableOrigin(transport: HttpTransport, host: string, signal: AbortSignal | undefined): Promise<URL> {
  const secure = new URL(`https://${host}`);
  try {
    const url = new URL("/v2/", secure);
    const response = await transport.send({ method: "GET", url, what: host, signal });
    await response.discard();
    return secure;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return new URL(`http://${host}`);
  }
}
