import { type Ext4Volume, findInode, readDirectory, readInode, readLinkTarget } from "../../formats/ext4/index.ts";
import { byteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { ROOT } from "./layout.ts";
import { readRootFile } from "./stored-repository.ts";

/** What bootc keeps of where a deployment came from. */
export interface Origin {
  /** In the syntax of ostree: `ostree-unverified-image:docker://registry.example/os:1`. */
  readonly image?: string;
  /** `uki` or `bls`. */
  readonly bootType?: string;
  /** SHA-256 over kernel and initramfs, hex. */
  readonly bootDigest?: string;
  readonly manifestDigest?: string;
}

/** A directory below `/state/deploy`. */
export interface StoredDeployment {
  /** Digest of its tree. */
  readonly id: string;
  readonly hasEtc: boolean;
  /** Where its `var` leads; absent when it is no link. */
  readonly varTarget?: string;
  /** Absent without an origin file. */
  readonly origin?: Origin;
}

const ORIGIN_SIZE_MAX = 65_536;

/** Lists the deployments by id. */
export function readDeployments(volume: Ext4Volume): StoredDeployment[] {
  const directory = findInode(volume, byteString(ROOT.deployments));
  if (directory?.kind !== "directory") return [];
  return readDirectory(volume, directory)
    .filter(({ ino }) => readInode(volume, ino).kind === "directory")
    .map(({ name }) => readDeployment(volume, showByteString(name)))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

function readDeployment(volume: Ext4Volume, id: string): StoredDeployment {
  const find = (path: string) => findInode(volume, byteString(path));
  const link = find(ROOT.varLink(id).path);
  const origin = find(ROOT.origin(id));
  return {
    id,
    hasEtc: find(ROOT.etc(id))?.kind === "directory",
    ...(link?.kind === "symlink" ? { varTarget: showByteString(readLinkTarget(volume, link)) } : {}),
    ...(origin?.kind === "file"
      ? { origin: parseOrigin(readRootFile(volume, origin, "origin file", ORIGIN_SIZE_MAX)) }
      : {}),
  };
}

/** Section and key of each fact. */
const ORIGIN_KEYS: Readonly<Record<string, keyof Origin>> = {
  "origin.container-image-reference": "image",
  "boot.boot_type": "bootType",
  "boot.digest": "bootDigest",
  "image.manifest_digest": "manifestDigest",
};

/**
 * Parses an origin file. What is not known says nothing.
 *
 * @see bootc specification, section 3.9
 */
export function parseOrigin(bytes: Uint8Array): Origin {
  const origin: { -readonly [K in keyof Origin]: Origin[K] } = {};
  let section = "";
  for (const line of Buffer.from(bytes).toString("utf8").split("\n")) {
    const [, name] = /^\s*\[([^\]]*)\]\s*$/.exec(line) ?? [];
    const [, key, value] = /^\s*([^=#;\s]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined) section = name;
    else if (key !== undefined && value !== undefined) {
      const fact = ORIGIN_KEYS[`${section}.${key}`];
      if (fact !== undefined) origin[fact] = value;
    }
  }
  return origin;
}
