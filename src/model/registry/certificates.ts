/** Certificate authorities and client certificates by host (containers-certs.d(5)). */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { NotFoundError } from "../../lib/errors.ts";
import { errnoOf, inputError } from "../host-io/errors.ts";
import { loadFile } from "../host-io/files.ts";
import { configHome, type RegistryEnvironment } from "./environment.ts";

export interface HostCertificates {
  /** PEM, beyond those of the system. */
  readonly authorities: readonly string[];
  readonly client?: { readonly certificate: string; readonly key: string };
}

/** Safety limit on one PEM file. */
const MAX_PEM_SIZE = 4 << 20;

/**
 * Reads the first directory there is for a host: `*.crt` are authorities, `NAME.cert` with `NAME.key` is who we are.
 *
 * @param host with port where there is one
 * @throws {NotFoundError} `registry.client-key-missing`
 */
export async function loadCertificates(host: string, environment: RegistryEnvironment): Promise<HostCertificates> {
  const places = [`${configHome(environment)}/containers/certs.d`, "/etc/containers/certs.d", "/etc/docker/certs.d"];
  for (const place of places) {
    const directory = join(place, host);
    const names = await listDirectory(directory);
    if (names !== undefined) return await loadDirectory(directory, names);
  }
  return { authorities: [] };
}

async function loadDirectory(directory: string, names: readonly string[]): Promise<HostCertificates> {
  const load = async (name: string): Promise<string> =>
    Buffer.from(
      await loadFile(join(directory, name), "certificate", MAX_PEM_SIZE, "registry.certificate-too-large"),
    ).toString("latin1");
  const authorities = await Promise.all(names.filter((name) => name.endsWith(".crt")).map(load));
  const certificate = names.find((name) => name.endsWith(".cert"));
  if (certificate === undefined) return { authorities };
  const key = certificate.replace(/\.cert$/, ".key");
  if (!names.includes(key)) {
    throw new NotFoundError(
      "registry.client-key-missing",
      `${directory}: found ${certificate}, expected ${key} beside it`,
    );
  }
  return { authorities, client: { certificate: await load(certificate), key: await load(key) } };
}

async function listDirectory(path: string): Promise<readonly string[] | undefined> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw inputError(error, "certificates", path);
  }
}
