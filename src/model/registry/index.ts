/**
 * A client of OCI registries: distribution specification 1.1 over undici.
 *
 *     Registries       names, mirrors, certificates        registries.conf, certs.d, proxies
 *       Repository     manifests, blobs, uploads           digests and sizes checked
 *         Session      credentials, further attempts       auth.json, helpers, tokens
 *           transport  one request, its redirects
 *
 * Nothing a registry says is trusted: manifests are compared with the digest that named them, blobs by whoever reads
 * them, sizes are bounded before anything is read, and credentials go to the registry's own origin and to the token
 * service it names, over TLS when it speaks TLS itself. Not supported: registries of the first API, short-name aliases and
 * `unqualified-search-registries`, signature policies.
 */
export { type Challenge, parseChallenges } from "./challenge.ts";
export type { Credential } from "./credential.ts";
export { findCredential } from "./credentials.ts";
export type { RegistryEnvironment } from "./environment.ts";
export { Registries, type RegistriesOptions } from "./registries.ts";
export { parseRegistriesConf, readLocations } from "./registries-conf.ts";
export { isNotFound, Repository, type StoredManifest } from "./repository.ts";
export type { Pacing } from "./retry.ts";
