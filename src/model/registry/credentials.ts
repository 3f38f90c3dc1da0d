/**
 * Credentials as people have them: written by podman, skopeo and docker login.
 *
 * @see containers-auth.json(5); docker/cli, "Credential stores"
 */
import * as v from "valibot";
import { parseJson } from "../../formats/oci/json.ts";
import { FormatError, NotFoundError, quote } from "../../lib/errors.ts";
import { loadFile } from "../host-io/files.ts";
import type { Credential } from "./credential.ts";
import { askHelper } from "./credential-helper.ts";
import { configHome, type RegistryEnvironment } from "./environment.ts";

export interface CredentialSources extends RegistryEnvironment {
  /** The only file to look into, as `--authfile` and `REGISTRY_AUTH_FILE` name it. */
  readonly authFile?: string | undefined;
}

const entrySchema = v.looseObject({
  auth: v.nullish(v.string()),
  username: v.nullish(v.string()),
  password: v.nullish(v.string()),
  identitytoken: v.nullish(v.string()),
  registrytoken: v.nullish(v.string()),
});

const fileSchema = v.looseObject({
  auths: v.nullish(v.record(v.string(), v.nullable(entrySchema))),
  credHelpers: v.nullish(v.record(v.string(), v.string())),
  credsStore: v.nullish(v.string()),
});

type AuthFile = v.InferOutput<typeof fileSchema>;

/** Safety limit: an entry has some hundred bytes. */
const MAX_AUTH_FILE_SIZE = 4 << 20;

const CODE = "registry.auth-file.malformed";

/**
 * Finds the credential for a repository: the first file that has one, in it the longest key that fits.
 *
 * @param registry host and port as the user writes it; Docker Hub is `docker.io`
 * @throws {NotFoundError} when the file that was named is not there
 * @throws {FormatError} `registry.auth-file.malformed`
 * @throws {RegistryError} `registry.helper-failed`
 */
export async function findCredential(
  registry: string,
  repository: string,
  sources: CredentialSources,
): Promise<Credential | undefined> {
  for (const { path, required } of authFiles(sources)) {
    const file = await loadAuthFile(path, required);
    if (file === undefined) continue;
    const found = await credentialIn(file, registry, repository, path);
    if (found !== undefined) return found;
  }
  return undefined;
}

function authFiles(sources: CredentialSources): readonly { readonly path: string; readonly required: boolean }[] {
  const { authFile, env, home, uid } = sources;
  if (authFile !== undefined) return [{ path: authFile, required: true }];
  const named = env["REGISTRY_AUTH_FILE"];
  if (named) return [{ path: named, required: false }];
  const runtime = env["XDG_RUNTIME_DIR"];
  return [
    ...(runtime ? [`${runtime}/containers/auth.json`] : uid === undefined ? [] : [`/run/containers/${uid}/auth.json`]),
    `${configHome(sources)}/containers/auth.json`,
    `${env["DOCKER_CONFIG"] || `${home}/.docker`}/config.json`,
  ].map((path) => ({ path, required: false }));
}

async function loadAuthFile(path: string, required: boolean): Promise<AuthFile | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await loadFile(path, "credentials", MAX_AUTH_FILE_SIZE, CODE);
  } catch (error) {
    if (!required && error instanceof NotFoundError) return undefined;
    throw error;
  }
  const value = v.safeParse(fileSchema, bytes.length === 0 ? {} : parseAuthJson(bytes, path));
  if (value.success) return value.output;
  throw malformed(path, "objects auths and credHelpers");
}

/** The parser's own words would quote what stands around the fault. */
function parseAuthJson(bytes: Uint8Array, path: string): unknown {
  try {
    return parseJson(bytes, { what: path, code: CODE, maxSize: MAX_AUTH_FILE_SIZE });
  } catch {
    throw malformed(path, "JSON");
  }
}

async function credentialIn(
  { auths, credHelpers, credsStore }: AuthFile,
  registry: string,
  repository: string,
  path: string,
): Promise<Credential | undefined> {
  const helper = credHelpers?.[registry];
  if (helper !== undefined) return await askHelper(helper, registry);
  const byKey = new Map(Object.entries(auths ?? {}).map(([key, entry]) => [normalKey(key), entry] as const));
  for (const key of keysFor(registry, repository)) {
    const entry = byKey.get(key);
    const found = entry === undefined || entry === null ? undefined : toCredential(entry, path, key);
    if (found !== undefined) return found;
  }
  return credsStore ? await askHelper(credsStore, registry === DOCKER_HUB ? DOCKER_HUB_KEY : registry) : undefined;
}

const DOCKER_HUB = "docker.io";
const DOCKER_HUB_KEY = "https://index.docker.io/v1/";

/** `quay.io/a/b`, `quay.io/a`, `quay.io`. */
function keysFor(registry: string, repository: string): string[] {
  const parts = [registry, ...repository.split("/")];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
}

/** Docker's keys are URLs of a registry's first API. */
function normalKey(key: string): string {
  const short = key.replace(/^https?:\/\//, "").replace(/\/(?:v[12]\/?)?$/, "");
  return short === "index.docker.io" || short === "registry-1.docker.io" ? DOCKER_HUB : short;
}

function toCredential(entry: v.InferOutput<typeof entrySchema>, path: string, key: string): Credential | undefined {
  if (entry.identitytoken) return { kind: "identity-token", token: entry.identitytoken };
  if (entry.registrytoken) return { kind: "access-token", token: entry.registrytoken };
  if (entry.auth) {
    const text = Buffer.from(entry.auth, "base64").toString("utf8");
    const colon = text.indexOf(":");
    if (colon < 1) throw malformed(`${path}: ${quote(key)}`, "base64 of USER:PASSWORD in auth");
    // Docker of old padded with NUL bytes.
    return { kind: "password", user: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, "") };
  }
  if (!entry.username) return undefined;
  return { kind: "password", user: entry.username, password: entry.password ?? "" };
}

const malformed = (what: string, expected: string): FormatError =>
  new FormatError(CODE, { what, expected, found: "something else" });
