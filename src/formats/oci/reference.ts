/**
 * How the user names an image: the transports of containers-transports(5) that Sealwright knows.
 *
 *     oci:DIR[:TAG]  oci-archive:FILE[:TAG]  docker-archive:FILE[:NAME:TAG]     on this file system
 *     docker://HOST/NAME[:TAG][@DIGEST], or without docker://                   in a registry
 *     containers-storage:NAME                                                   in the storage of Podman
 *     dir:PATH  dump:FILE  erofs:FILE                      a root file system, a dumpfile, a composefs image
 */
import { quote, UsageError } from "../../lib/errors.ts";
import { type BlobDigest, isBlobDigest } from "./digest.ts";

/** Which of the images of a layout or an archive: its tag, its place in the list, or the digest of its manifest. */
export type ImageSelector =
  | { readonly by: "tag"; readonly tag: string }
  | { readonly by: "position"; readonly position: number }
  | { readonly by: "digest"; readonly digest: BlobDigest };

export interface RegistryReference {
  readonly transport: "docker";
  /** Host, with port where one was given; `docker.io` for a name without host. */
  readonly registry: string;
  /** With `library/` where Docker Hub wants it. */
  readonly repository: string;
  /** `latest` when neither tag nor digest was given. */
  readonly tag?: string;
  readonly digest?: BlobDigest;
}

export interface LocalReference {
  readonly transport: "oci" | "oci-archive" | "docker-archive";
  readonly path: string;
  readonly select?: ImageSelector;
}

export type Reference =
  | LocalReference
  | RegistryReference
  | { readonly transport: "containers-storage"; readonly name: string }
  | { readonly transport: "dir" | "dump" | "erofs"; readonly path: string };

const PATH_TRANSPORTS = ["oci", "oci-archive", "docker-archive"] as const;
const TREE_TRANSPORTS = ["dir", "dump", "erofs"] as const;
const KNOWN = [...PATH_TRANSPORTS, "docker", "containers-storage", ...TREE_TRANSPORTS];

/** Transports of other tools; without this list `sif:image` would be a repository called "sif". */
const FOREIGN = ["atomic", "docker-daemon", "ostree", "sif", "tarball"];

/**
 * @throws {UsageError} `reference.transport.unknown`, `reference.path.missing`, `reference.tag.malformed`,
 *   `reference.name.malformed`
 */
export function parseReference(text: string): Reference {
  const [, transport, rest] = /^([a-z][a-z0-9-]*):(.*)$/s.exec(text) ?? [];
  if (transport === undefined || rest === undefined) return parseRegistryName(text, text);
  if (isOneOf(PATH_TRANSPORTS, transport)) return parseLocal(transport, rest, text);
  if (isOneOf(TREE_TRANSPORTS, transport)) return { transport, path: requirePath(rest, text) };
  if (transport === "docker" && rest.startsWith("//")) return parseRegistryName(rest.slice(2), text);
  if (transport === "containers-storage") {
    if (rest === "") throw malformedName(text);
    return { transport, name: rest };
  }
  if (FOREIGN.includes(transport) || /^\.{0,2}\//.test(rest)) throw unknownTransport(transport, text);
  return parseRegistryName(text, text);
}

/** The text that `parseReference` takes. */
export function showReference(reference: Reference): string {
  switch (reference.transport) {
    case "docker": {
      const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
      const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
      return `docker://${reference.registry}/${reference.repository}${tag}${digest}`;
    }
    case "containers-storage":
      return `containers-storage:${reference.name}`;
    case "dir":
    case "dump":
    case "erofs":
      return `${reference.transport}:${reference.path}`;
    default: {
      const select = reference.select === undefined ? "" : `:${showSelector(reference.select)}`;
      return `${reference.transport}:${reference.path}${select}`;
    }
  }
}

export function showSelector(select: ImageSelector): string {
  switch (select.by) {
    case "tag":
      return select.tag;
    case "position":
      return `@${select.position}`;
    case "digest":
      return `@${select.digest}`;
    default:
      return select satisfies never;
  }
}

/** The characters of OCI image specification 1.1, annotations.md, for `org.opencontainers.image.ref.name`. */
const REF = /^[A-Za-z0-9]+(?:(?:[-._:@+/]|--)[A-Za-z0-9]+)*$/;

/** The path ends at the first colon, as in every tool that knows these transports. */
function parseLocal(transport: LocalReference["transport"], rest: string, text: string): LocalReference {
  const colon = rest.indexOf(":");
  if (colon === -1) return { transport, path: requirePath(rest, text) };
  const path = requirePath(rest.slice(0, colon), text);
  return { transport, path, select: parseSelector(rest.slice(colon + 1), text) };
}

function parseSelector(selector: string, text: string): ImageSelector {
  const marked = selector.startsWith("@") ? selector.slice(1) : undefined;
  if (isBlobDigest(marked)) return { by: "digest", digest: marked };
  if (marked !== undefined && /^\d{1,9}$/.test(marked)) return { by: "position", position: Number(marked) };
  if (marked === undefined && REF.test(selector)) return { by: "tag", tag: selector };
  throw new UsageError(
    "reference.tag.malformed",
    `reference ${quote(text)}: found ${quote(selector)} after the path, expected a tag, "@" and a position, or "@" and a digest`,
  );
}

// The grammar of distribution/reference: host, path components, tag.
const HOST =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DOCKER_HUB = "docker.io";

function parseRegistryName(name: string, text: string): RegistryReference {
  const [beforeDigest = "", digest, ...more] = name.split("@");
  if (more.length > 0 || (digest !== undefined && !isBlobDigest(digest))) throw malformedName(text);

  const lastSlash = beforeDigest.lastIndexOf("/");
  const colon = beforeDigest.indexOf(":", lastSlash + 1);
  const path = colon === -1 ? beforeDigest : beforeDigest.slice(0, colon);
  const givenTag = colon === -1 ? undefined : beforeDigest.slice(colon + 1);
  const tag = givenTag ?? (digest === undefined ? "latest" : undefined);

  const { registry, repository } = splitHost(path);
  const fits = HOST.test(registry) && REPOSITORY.test(repository) && repository.length <= 255;
  if (!fits || (tag !== undefined && !TAG.test(tag))) throw malformedName(text);
  return {
    transport: "docker",
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The first component is a host when it has a dot or a port, or is "localhost": the rule of Docker. */
function splitHost(path: string): { registry: string; repository: string } {
  const slash = path.indexOf("/");
  const first = slash === -1 ? "" : path.slice(0, slash);
  if (/[.:]/.test(first) || first === "localhost") {
    const repository = path.slice(slash + 1);
    const official = first === DOCKER_HUB && !repository.includes("/");
    return { registry: first, repository: official ? `library/${repository}` : repository };
  }
  return { registry: DOCKER_HUB, repository: slash === -1 ? `library/${path}` : path };
}

function requirePath(path: string, text: string): string {
  if (path !== "" && !path.includes("\0")) return path;
  throw new UsageError("reference.path.missing", `reference ${quote(text)}: expected a path after the transport`);
}

function unknownTransport(transport: string, text: string): UsageError {
  return new UsageError(
    "reference.transport.unknown",
    `reference ${quote(text)}: transport ${quote(transport)}, expected one of ${KNOWN.join(", ")}`,
  );
}

function malformedName(text: string): UsageError {
  return new UsageError("reference.name.malformed", `reference ${quote(text)}: expected [HOST/]NAME[:TAG][@DIGEST]`, {
    hint: `an image in a file has its transport in front: oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE; known are ${KNOWN.join(", ")}`,
  });
}

function isOneOf<T extends string>(list: readonly T[], value: string): value is T {
  return (list as readonly string[]).includes(value);
}
