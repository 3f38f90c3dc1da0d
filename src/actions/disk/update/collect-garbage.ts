/** What no deployment of a disk needs any more, found as bootc finds it: from the tags, over the streams, to the objects. */
import { parseSplitStream } from "../../../formats/splitstream/index.ts";
import { showByteString } from "../../../lib/bytes/byte-string.ts";
import { toHex } from "../../../lib/bytes/numbers.ts";
import { inFile } from "../../../lib/in-file.ts";
import { treeFromErofs } from "../../../model/composefs/index.ts";
import { objectPath } from "../../../model/composefs/overlay.ts";
import { ROOT } from "../../../model/disk/layout.ts";
import {
  contentId,
  deploymentTag,
  IMAGES,
  OBJECTS,
  OCI_REFS,
  REFS,
  STREAMS,
  tagFileName,
} from "../../../model/repository/index.ts";
import { nodesOf } from "../../../model/tree/walk.ts";
import { at } from "../root-tree.ts";
import type { RootDirectory, RootNode, TreeBuilder } from "../tree-builder.ts";
import { readTreeFile } from "./stored-disk.ts";

/** A deployment that stays. */
export interface KeptDeployment {
  readonly id: string;
  readonly manifestDigest: string;
}

export interface Garbage {
  readonly count: number;
  readonly size: number;
}

/** Tags that bootc makes, and takes away. */
const BOOTC_TAG = tagFileName(deploymentTag(""));

/**
 * Removes state, tags, links and objects of every deployment that does not stay. Tags of others stay, and what they keep.
 *
 * @param kept deployments whose objects are all on the disk
 * @param needed digests of objects that are about to be needed, hex
 * @returns the objects that are gone
 * @throws {VerificationError} `disk.file.missing`; {FormatError} `splitstream.*`, `erofs.*` when the disk does not have
 *   what a deployment that stays needs
 */
export function collectGarbage(
  tree: TreeBuilder,
  kept: readonly KeptDeployment[],
  needed: ReadonlySet<string>,
): Garbage {
  const ids = new Set(kept.map(({ id }) => id));
  for (const [name] of tree.entries(ROOT.deployments)) {
    if (!ids.has(name)) tree.remove(ROOT.deployment(showByteString(name)));
  }
  const tags = new Set(kept.map(({ manifestDigest }) => tagFileName(deploymentTag(manifestDigest))));
  for (const [name] of tree.entries(at(STREAMS, REFS, OCI_REFS))) {
    if (name.startsWith(BOOTC_TAG) && !tags.has(name)) tree.remove(at(STREAMS, REFS, OCI_REFS, showByteString(name)));
  }
  const live = findLive(tree, kept);
  const stays = (hex: string): boolean => live.has(hex) || needed.has(hex);
  for (const directory of [IMAGES, STREAMS] as const) {
    for (const [name, hex] of listLinks(tree, directory)) if (!stays(hex)) tree.remove(at(directory, name));
  }
  let count = 0;
  let size = 0;
  for (const [prefix, directory] of tree.entries(at(OBJECTS))) {
    if (directory.kind !== "directory") continue;
    for (const [rest, node] of directory.entries) {
      if (node.kind !== "file" || stays(prefix + rest)) continue;
      (directory as RootDirectory).entries.delete(rest);
      count++;
      size += node.size;
    }
    if (directory.entries.size === 0) tree.remove(at(OBJECTS, prefix));
  }
  return { count, size };
}

/** Digests of everything that tags and the deployments that stay lead to. */
function findLive(tree: TreeBuilder, kept: readonly KeptDeployment[]): Set<string> {
  const streams = listLinks(tree, STREAMS);
  const images = listLinks(tree, IMAGES);
  const streamDigests = new Set(streams.values());
  const imageDigests = new Set(images.values());
  const live = new Set<string>();
  const open = [
    ...kept.flatMap(({ id, manifestDigest }) => [id, streams.get(contentId.manifest(manifestDigest)) ?? ""]),
    ...listReferences(tree, STREAMS).map((name) => streams.get(name) ?? ""),
    ...listReferences(tree, IMAGES).map((name) => images.get(name) ?? ""),
  ];
  for (const hex of open) {
    if (hex === "" || live.has(hex)) continue;
    live.add(hex);
    const path = at(OBJECTS, objectPath(hex));
    if (streamDigests.has(hex)) {
      const { objectRefs, streamRefs } = inFile(`/${path}`, () => parseSplitStream(readTreeFile(tree, path)));
      for (const digest of objectRefs) live.add(toHex(digest));
      for (const digest of streamRefs) open.push(toHex(digest));
    } else if (imageDigests.has(hex)) {
      for (const digest of inFile(`/${path}`, () => objectsOf(readTreeFile(tree, path)))) live.add(toHex(digest));
    }
  }
  return live;
}

/** Digests of the objects that an EROFS image refers to. */
function* objectsOf(erofs: Uint8Array): Generator<Uint8Array, void, void> {
  for (const node of nodesOf(treeFromErofs(erofs).root)) {
    if (node.kind !== "file" || node.content.kind !== "external") continue;
    const digest = node.content.digests.sha512;
    if (digest !== undefined) yield digest;
  }
}

/** Digests that the links of a directory lead to, by name. */
function listLinks(tree: TreeBuilder, directory: typeof IMAGES | typeof STREAMS): Map<string, string> {
  const links = new Map<string, string>();
  for (const [name, node] of tree.entries(at(directory))) {
    const [, prefix, rest] = /\/([0-9a-f]{2})\/([0-9a-f]+)$/.exec(targetOf(node)) ?? [];
    if (prefix !== undefined && rest !== undefined) links.set(showByteString(name), prefix + rest);
  }
  return links;
}

/** Names of the links that those below `refs` lead to. */
function listReferences(tree: TreeBuilder, directory: typeof IMAGES | typeof STREAMS): string[] {
  const open = tree.entries(at(directory, REFS)).map(([, node]) => node);
  const names: string[] = [];
  for (const node of open) {
    if (node.kind === "directory") for (const child of node.entries.values()) open.push(child);
    else names.push(targetOf(node).split("/").at(-1) ?? "");
  }
  return names;
}

const targetOf = (node: RootNode): string => (node.kind === "symlink" ? showByteString(node.target) : "");

/** Whether the streams of an image can be found on the disk: without them, nobody knows what a deployment needs. */
export const hasManifest = (tree: TreeBuilder, manifestDigest: string): boolean =>
  tree.find(at(STREAMS, contentId.manifest(manifestDigest))) !== undefined;
