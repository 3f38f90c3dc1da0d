import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { type FileSpec, type FileType, parseFileContexts, parseSubstitutions } from "./file-contexts.ts";
import { SpecMatcher } from "./spec-matcher.ts";

/** The text files of a policy, by the end of their names; those that are absent are left out. */
export interface PolicyFiles {
  readonly main: Uint8Array;
  readonly local?: Uint8Array;
  readonly homedirs?: Uint8Array;
  readonly subs?: Uint8Array;
  readonly subsDist?: Uint8Array;
}

/** File name and place in {@link PolicyFiles}, in the order in which they are read: a later line beats an earlier one. */
export const POLICY_FILES = [
  { name: "file_contexts", key: "main" },
  { name: "file_contexts.local", key: "local" },
  { name: "file_contexts.homedirs", key: "homedirs" },
  { name: "file_contexts.subs", key: "subs" },
  { name: "file_contexts.subs_dist", key: "subsDist" },
] as const satisfies readonly { name: string; key: keyof PolicyFiles }[];

/** Which label every path of a system has. */
export class SelinuxPolicy {
  readonly specs: readonly FileSpec[];
  readonly #aliases: ReadonlyMap<ByteString, ByteString>;
  readonly #matcher: SpecMatcher;

  private constructor(specs: readonly FileSpec[], aliases: ReadonlyMap<ByteString, ByteString>) {
    this.specs = specs;
    this.#aliases = aliases;
    this.#matcher = new SpecMatcher(specs);
  }

  /** @throws {FormatError | UnsupportedError} `selinux.*`, naming file and line */
  static parse(files: PolicyFiles): SelinuxPolicy {
    const specs: FileSpec[] = [];
    const aliases = new Map<ByteString, ByteString>();
    for (const { name, key } of POLICY_FILES) {
      const bytes = files[key];
      if (bytes === undefined) continue;
      if (key === "subs" || key === "subsDist") {
        for (const [alias, original] of parseSubstitutions(bytes, name)) aliases.set(alias, original);
      } else {
        for (const spec of parseFileContexts(bytes, name)) specs.push(spec);
      }
    }
    return new SelinuxPolicy(specs, aliases);
  }

  /**
   * The path that the specs are asked about for `name` in a directory.
   *
   * A substitution replaces a whole path, and is not looked up again; since a directory hands its effective path to
   * its children, it renames everything below.
   *
   * @param directory effective path of the directory; `/` for the root
   */
  effectivePath(directory: ByteString, name: ByteString): ByteString {
    const path = (directory === "/" ? `/${name}` : `${directory}/${name}`) as ByteString;
    return this.#aliases.get(path) ?? path;
  }

  /** The last spec that matches an effective path, if any. */
  spec(path: ByteString, type: FileType): FileSpec | undefined {
    return this.#matcher.match(path, type);
  }

  /** The label of an effective path; `undefined` when no spec matches or the spec says `<<none>>`. */
  label(path: ByteString, type: FileType): ByteString | undefined {
    return this.spec(path, type)?.context;
  }
}
