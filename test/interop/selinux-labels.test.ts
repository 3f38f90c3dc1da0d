import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import {
  type FileSpec,
  type FileType,
  type Pattern,
  SelinuxPolicy,
  SpecMatcher,
} from "../../src/formats/selinux/index.ts";
import { type ByteString, byteString } from "../../src/lib/bytes/byte-string.ts";
import { debianPolicy, type LabelQuestion, matchpathcon } from "../tools/selinux-policy.ts";

/** libselinux, which labels running systems, judges the matcher over the reference policy of Debian. */
let fileContexts: string;
let policy: SelinuxPolicy;

beforeAll(async () => {
  const files = await debianPolicy();
  fileContexts = join(files, "file_contexts");
  policy = SelinuxPolicy.parse({
    main: readFileSync(fileContexts),
    homedirs: readFileSync(join(files, "file_contexts.homedirs")),
    subsDist: readFileSync(join(files, "file_contexts.subs_dist")),
  });
});

/** The path that specs are asked about, from the root down as in a tree. */
function effectivePath(path: string): ByteString {
  const names = path.split("/").filter((name) => name !== "");
  return names.reduce<ByteString>((above, name) => policy.effectivePath(above, byteString(name)), byteString("/"));
}

type Matcher = (path: ByteString, type: FileType) => FileSpec | undefined;

const contextBy = (match: Matcher, { path, type }: LabelQuestion): string =>
  match(effectivePath(path), type)?.context ?? "<<none>>";

/**
 * The one known difference: libselinux puts specs without metacharacters last (`sort_specs` in label_file.c), so that
 * they win over every pattern. The reference of our digests keeps the order of the files.
 */
function inOrderOfLibselinux(specs: readonly FileSpec[]): Matcher {
  const isExact = ({ regex }: FileSpec) => !/[.^$?*+|[({]/.test(regex.replaceAll(/\\./g, ""));
  const matcher = new SpecMatcher([...specs.filter((spec) => !isExact(spec)), ...specs.filter(isExact)]);
  return (path, type) => matcher.match(path, type);
}

/** The paths that a matcher labels in another way than libselinux; the first few, for thousands take minutes to print. */
function differences(match: Matcher, questions: readonly LabelQuestion[]): string[] {
  const answers = matchpathcon(fileContexts, questions);
  const wrong = questions.flatMap((question, index) => {
    const ours = contextBy(match, question);
    return ours === answers[index] ? [] : [`${question.path} ${question.type}: ${ours}, libselinux ${answers[index]}`];
  });
  return [...new Set(wrong)].slice(0, 40);
}

const TYPES: Readonly<Record<string, LabelQuestion["type"]>> = {
  f: "-",
  d: "d",
  l: "l",
  p: "p",
  s: "s",
  b: "b",
  c: "c",
};

/** Up to about so many paths of this machine with their types, spread over the directories. */
function pathsOfMachine(limit: number): LabelQuestion[] {
  // readdir() of Node follows links to directories, and /usr/bin/X11 is one to its own directory.
  const argv = ["/etc", "/usr", "/var/lib", "/dev", "-printf", "%y%p\\0"];
  const { stdout } = spawnSync("find", argv, { encoding: "utf8", maxBuffer: 1 << 28 });
  const all = stdout.split("\0").flatMap((line): LabelQuestion[] => {
    const type = TYPES[line[0] ?? ""];
    const path = line.slice(1);
    return type === undefined || !/^[\x21-\x7e]+$/.test(path) ? [] : [{ path, type }];
  });
  const every = Math.ceil(all.length / limit);
  return all.filter((_, index) => index % every === 0);
}

test("every path of this machine is labelled as libselinux does", () => {
  const questions = pathsOfMachine(15_000);
  expect(questions.length).toBeGreaterThan(1000);
  expect(differences((path, type) => policy.spec(path, type), questions)).toEqual([]);
});

/** Strings that a pattern matches: the `choice`-th way through it. */
function sample(pattern: Pattern, choice: number): string {
  switch (pattern.kind) {
    case "byte": {
      const bytes = Array.from({ length: 94 }, (_, at) => at + 33).filter((byte) => pattern.set[byte] === 1);
      return String.fromCharCode(bytes[(choice * 7) % bytes.length] ?? 0x20);
    }
    case "dot":
      return "xY-.9"[choice % 5] as string;
    case "sequence":
      return pattern.parts.map((part) => sample(part, choice)).join("");
    case "choice":
      return sample(pattern.options[choice % pattern.options.length] as Pattern, choice);
    case "repeat": {
      const count = Math.min(pattern.min + (choice % 3), pattern.max);
      return Array.from({ length: count }, (_, at) => sample(pattern.body, choice + at)).join("");
    }
    case "assert":
    case "look":
      return "";
    default:
      return pattern satisfies never;
  }
}

test("paths made from every spec are labelled as libselinux does, but where it prefers exact specs", () => {
  const questions = policy.specs.flatMap(({ pattern, type }, index) =>
    [0, 1, 4].flatMap((choice): LabelQuestion[] => {
      const path = sample(pattern, choice);
      if (!/^(?:\/[!-.0-~]+)+$/.test(path)) return [];
      return [{ path, type: type ?? (["-", "d", "l", "s"] as const)[(index + choice) % 4] ?? "-" }];
    }),
  );
  expect(questions.length).toBeGreaterThan(2 * policy.specs.length);
  expect(differences(inOrderOfLibselinux(policy.specs), questions)).toEqual([]);
  expect(differences((path, type) => policy.spec(path, type), questions)).toEqual([
    "/root/restore d: unconfined_u:object_r:user_home_t:s0, libselinux system_u:object_r:amanda_recover_dir_t:s0",
    "/root/.default_contexts -: unconfined_u:object_r:user_home_t:s0, libselinux system_u:object_r:default_context_t:s0",
  ]);
});
