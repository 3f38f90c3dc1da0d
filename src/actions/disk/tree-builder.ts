import type { MutableExt4Directory } from "../../formats/ext4/index.ts";
import {
  type Ext4Metadata,
  type Ext4Node,
  encodeVerityMetadata,
  verityMetadataSize,
} from "../../formats/ext4/index.ts";
import { type ByteString, byteString } from "../../lib/bytes/byte-string.ts";
import { PolicyError } from "../../lib/errors.ts";
import type { DiskContent } from "../../model/disk/content.ts";
import { DIRECTORY_MODE, OBJECT_MODE, type RepositoryObject } from "../../model/repository/index.ts";
import { splitPath } from "./esp.ts";

export type RootNode = Ext4Node<DiskContent>;
export type RootDirectory = MutableExt4Directory<DiskContent>;

/** A tree that grows and shrinks by paths; names in them are UTF-8. */
export class TreeBuilder {
  readonly root: RootDirectory;
  readonly #meta: Ext4Metadata;
  /** One for all objects. */
  readonly #objectMeta: Ext4Metadata;

  /** @param meta of everything that is not given its own */
  constructor(root: RootDirectory, meta: Ext4Metadata) {
    this.root = root;
    this.#meta = meta;
    this.#objectMeta = { ...meta, mode: OBJECT_MODE };
  }

  find(path: string): RootNode | undefined {
    let node: RootNode | undefined = this.root;
    for (const name of path.split("/")) {
      node = node?.kind === "directory" ? node.entries.get(byteString(name)) : undefined;
    }
    return node;
  }

  /** What is in a directory; nothing when there is none. */
  entries(path: string): [name: ByteString, node: RootNode][] {
    const node = this.find(path);
    return node?.kind === "directory" ? [...node.entries] : [];
  }

  /** Makes a directory, and those above it, unless it is there. */
  directory(path: string, mode: number = DIRECTORY_MODE, meta: Ext4Metadata = this.#meta): void {
    if (this.find(path)?.kind === "directory") return;
    this.put(path, { kind: "directory", meta: { ...meta, mode }, entries: new Map() });
  }

  symlink(path: string, target: string): void {
    this.put(path, { kind: "symlink", meta: { ...this.#meta, mode: 0o777 }, target: byteString(target) });
  }

  file(path: string, content: Uint8Array, mode = 0o644, meta: Ext4Metadata = this.#meta): void {
    this.put(path, { kind: "file", meta: { ...meta, mode }, size: content.length, content });
  }

  /** Objects in a directory, each in one below it that the first byte of its digest names. */
  objects(path: string, objects: Iterable<RepositoryObject>): void {
    const directories = new Map<string, RootDirectory["entries"]>();
    for (const object of objects) {
      const prefix = object.hex.slice(0, 2);
      const entries = directories.get(prefix) ?? this.within(`${path}/${prefix}`);
      directories.set(prefix, entries);
      // ASCII; as a slice it takes no memory of its own.
      entries.set(object.hex.slice(2) as ByteString, this.#verityFile(object));
    }
  }

  /** A file with fs-verity. */
  object(path: string, object: RepositoryObject): void {
    this.put(path, this.#verityFile(object));
  }

  #verityFile(object: RepositoryObject): RootNode {
    const { size, treeSize } = object;
    const [content, metadata]: [DiskContent, DiskContent] =
      object.kind === "memory"
        ? [object.bytes, encodeVerityMetadata(object.verity.tree, object.verity.descriptor)]
        : [object, { kind: "verity", object }];
    const verity = { metadata, metadataSize: verityMetadataSize(treeSize) };
    return { kind: "file", meta: this.#objectMeta, size, content, verity };
  }

  put(path: string, node: RootNode): void {
    const [parent, name] = splitPath(path);
    this.within(parent).set(byteString(name), node);
  }

  remove(path: string): void {
    const [parent, name] = splitPath(path);
    const directory = parent === "" ? this.root : this.find(parent);
    if (directory?.kind === "directory") (directory as RootDirectory).entries.delete(byteString(name));
  }

  /**
   * What is in a directory, which is made when it is not there.
   *
   * @throws {PolicyError} `disk.etc-not-directory`
   */
  within(path: string, meta: Ext4Metadata = this.#meta): RootDirectory["entries"] {
    let { entries } = this.root;
    let done = "";
    for (const name of path.split("/")) {
      if (name === "") continue;
      done += `/${name}`;
      const there = entries.get(byteString(name));
      if (there !== undefined && there.kind !== "directory") {
        throw new PolicyError("disk.etc-not-directory", `${done}: found a ${there.kind}, expected a directory`);
      }
      const directory = (there as RootDirectory | undefined) ?? {
        kind: "directory",
        meta: { ...meta, mode: DIRECTORY_MODE },
        entries: new Map<ByteString, RootNode>(),
      };
      if (there === undefined) entries.set(byteString(name), directory);
      entries = directory.entries;
    }
    return entries;
  }
}
