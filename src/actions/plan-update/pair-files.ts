/**
 * Which file of the old tree a new one is a change of.
 *
 *     usr/bin/bash                                   usr/bin/bash                                the same path
 *     usr/lib/modules/6.12.9+deb13/kernel/fs/x.ko    usr/lib/modules/6.12.10+deb13/kernel/...    but for numbers
 *     usr/lib/libfoo.so.1.2                          usr/lib/x86_64-linux-gnu/libfoo.so.1.3      the same name elsewhere
 */
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import type { StoredObject, TreeFiles } from "./objects.ts";

/** The same file in another release, at the same place or at another. */
export class OldFiles {
  readonly #files: TreeFiles["files"];
  readonly #byPath: ReadonlyMap<string, readonly StoredObject[]>;
  readonly #byName: ReadonlyMap<string, readonly StoredObject[]>;

  /** @param wanted of two files that are alike, the one that is gone from there is the likelier ancestor */
  constructor(held: TreeFiles, wanted: TreeFiles) {
    this.#files = held.files;
    this.#byPath = groupBy(held.files, withoutNumbers);
    const gone = new Map([...held.files].filter(([path]) => !wanted.files.has(path)));
    this.#byName = groupBy(gone, (path) => nameOf(withoutNumbers(path)));
  }

  /** @returns `undefined` when nothing is alike */
  find({ path, size }: StoredObject): StoredObject | undefined {
    const same = this.#files.get(path);
    if (same !== undefined) return same;
    const pattern = withoutNumbers(path);
    return closest(this.#byPath.get(pattern), size) ?? closest(this.#byName.get(nameOf(pattern)), size);
  }
}

/** Versions are digits, and letters that stand with them: `6.12.9+deb13`, `1.0.2k`. */
const withoutNumbers = (path: string): string =>
  path.replaceAll(/\d+[a-z]?(?:[.+~_-]*(?:deb|rc|beta|el|fc)?\d+[a-z]?)*/g, "0");

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

function groupBy(files: TreeFiles["files"], keyOf: (path: ByteString) => string): Map<string, StoredObject[]> {
  const groups = new Map<string, StoredObject[]>();
  for (const [path, file] of files) {
    const key = keyOf(path);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [file]);
    else group.push(file);
  }
  return groups;
}

/** By size; of two as close the first. */
function closest(files: readonly StoredObject[] | undefined, size: number): StoredObject | undefined {
  return files?.reduce((best, file) => (Math.abs(file.size - size) < Math.abs(best.size - size) ? file : best));
}
