/**
 * `registries.conf` version 2: where a name leads. Mirrors, other locations, blocked and insecure registries; a short
 * name is Docker Hub's, whatever `unqualified-search-registries` and aliases say: two machines must not read one
 * reference differently.
 *
 * @see containers-registries.conf(5)
 */
import { readdir } from "node:fs/promises";
import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import { FormatError, NotFoundError, PolicyError } from "../../lib/errors.ts";
import { errnoOf, inputError } from "../host-io/errors.ts";
import { loadFile } from "../host-io/files.ts";
import { configHome, type RegistryEnvironment } from "./environment.ts";

const PULLS = ["all", "digest-only", "tag-only"] as const;

const mirrorSchema = v.looseObject({
  location: v.string(),
  insecure: v.optional(v.boolean(), false),
  "pull-from-mirror": v.optional(v.picklist(PULLS), "all"),
});

const registrySchema = v.looseObject({
  prefix: v.optional(v.string(), ""),
  location: v.optional(v.string(), ""),
  insecure: v.optional(v.boolean(), false),
  blocked: v.optional(v.boolean(), false),
  "mirror-by-digest-only": v.optional(v.boolean(), false),
  mirror: v.optional(v.array(mirrorSchema), []),
});

const fileSchema = v.looseObject({ registry: v.optional(v.array(registrySchema), []) });

type RegistryRule = v.InferOutput<typeof registrySchema>;

/** Rules by their prefix. */
export type RegistriesConf = ReadonlyMap<string, RegistryRule>;

/** A repository on a certain host. */
export interface Location {
  readonly registry: string;
  readonly repository: string;
  /** Certificates need not hold, and plain HTTP will do. */
  readonly insecure: boolean;
}

const CODE = "registry.conf.malformed";

/** Safety limit: real files have some KiB. */
const MAX_CONF_SIZE = 4 << 20;

/**
 * Reads the user's file or else the system's, and the drop-ins of both, which win over it.
 *
 * @throws {FormatError} `registry.conf.malformed`
 */
export async function loadRegistriesConf(environment: RegistryEnvironment): Promise<RegistriesConf> {
  const named = environment.env["CONTAINERS_REGISTRIES_CONF"];
  const user = `${configHome(environment)}/containers/registries.conf`;
  const main = named ? [named] : [user, "/etc/containers/registries.conf"];
  const dropIns = named
    ? []
    : [...(await listConf("/etc/containers/registries.conf.d")), ...(await listConf(`${user}.d`))];
  const rules = new Map<string, RegistryRule>();
  const add = (found: readonly RegistryRule[]): void =>
    found.forEach((rule) => rules.set(rule.prefix || rule.location, rule));
  for (const path of main) {
    const found = await loadRules(path);
    if (found === undefined) continue;
    add(found);
    break;
  }
  for (const path of dropIns) add((await loadRules(path)) ?? []);
  return rules;
}

async function listConf(directory: string): Promise<readonly string[]> {
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => name.endsWith(".conf"))
      .sort()
      .map((name) => `${directory}/${name}`);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return [];
    throw inputError(error, "registries.conf", directory);
  }
}

async function loadRules(path: string): Promise<readonly RegistryRule[] | undefined> {
  try {
    return parseRegistriesConf(await loadFile(path, "registries.conf", MAX_CONF_SIZE, CODE), path);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** @throws {FormatError} `registry.conf.malformed` */
export function parseRegistriesConf(bytes: Uint8Array, what: string): readonly RegistryRule[] {
  let value: unknown;
  try {
    value = parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new FormatError(CODE, { what: `${what}: line ${error.line}`, expected: "TOML", found: "something else" });
  }
  const parsed = v.safeParse(fileSchema, value);
  const wrong = parsed.success ? undefined : parsed.issues[0];
  if (wrong !== undefined || !parsed.success) {
    const place = wrong?.path?.map(({ key }) => String(key)).join(".") ?? "registry";
    throw new FormatError(CODE, {
      what: `${what}: ${place}`,
      expected: wrong?.expected ?? "a table",
      found: wrong?.received ?? "",
    });
  }
  return parsed.output.registry;
}

/**
 * Where to read a repository: mirrors first, then the place itself.
 *
 * @param byDigest the image is named by a digest, so that no mirror can give another one
 * @throws {PolicyError} `registry.blocked`
 */
export function readLocations(
  conf: RegistriesConf,
  registry: string,
  repository: string,
  byDigest: boolean,
): Location[] {
  const name = `${registry}/${repository}`;
  const [prefix, rule] = longestMatch(conf, name);
  if (rule === undefined) return [{ registry, repository, insecure: false }];
  if (rule.blocked) {
    throw new PolicyError("registry.blocked", `${name}: blocked by registries.conf, prefix "${prefix}"`, {
      data: { prefix },
    });
  }
  const matched = prefix.startsWith("*.") ? registry : prefix;
  const at = (location: string, insecure: boolean): Location => {
    const [host = "", ...path] = (location + name.slice(matched.length)).split("/");
    return { registry: host, repository: path.join("/"), insecure };
  };
  const wanted = (pulls: string): boolean => pulls === "all" || (pulls === "digest-only") === byDigest;
  const mirrors = rule.mirror.filter(
    (mirror) => wanted(mirror["pull-from-mirror"]) && (byDigest || !rule["mirror-by-digest-only"]),
  );
  return [
    ...mirrors.map(({ insecure, location }) => at(location, insecure)),
    at(rule.location || matched, rule.insecure),
  ];
}

/** Where to write a repository: never to a mirror. */
export function writeLocation(conf: RegistriesConf, registry: string, repository: string): Location {
  return readLocations(conf, registry, repository, true).at(-1) as Location;
}

/** A prefix ends at a component of the name; `*.example.com` stands for every host below. */
function longestMatch(conf: RegistriesConf, name: string): readonly [prefix: string, rule: RegistryRule | undefined] {
  const host = name.slice(0, name.indexOf("/"));
  const fits = (prefix: string): boolean =>
    prefix.startsWith("*.") ? host.endsWith(prefix.slice(1)) : name === prefix || name.startsWith(`${prefix}/`);
  const [longest = ""] = [...conf.keys()].filter(fits).sort((a, b) => b.length - a.length);
  return [longest, conf.get(longest)];
}
