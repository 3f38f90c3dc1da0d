import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type FileSpec, type Pattern, SelinuxPolicy } from "../../src/formats/selinux/index.ts";
import { byteString } from "../../src/lib/bytes/byte-string.ts";
import { debianPolicy, type LabelQuestion, matchpathcon } from "../tools/selinux-policy.ts";

/** libselinux, which labels running systems, judges the matcher over the reference policy of Debian. */
let files: string;
let policy: SelinuxPolicy;

beforeAll(async () => {
  files = await debianPolicy();
  policy = SelinuxPolicy.parse({
    main: readFileSync(join(files, "file_contexts")),
    homedirs: readFileSync(join(files, "file_contexts.homedirs")),
    subsDist: readFileSync(join(files, "file_contexts.subs_dist")),
  });
});

/** Spec and label of a path from the root down, as a tree would be labelled. */
function label(from: SelinuxPolicy, { path, type }: LabelQuestion): { spec?: FileSpec | undefined; context: string } {
  const names = path.split("/").filter((name) => name !== "");
  let effective = byteString("/");
  for (const name of names) effective = from.effectivePath(effective, byteString(name));
  const spec = from.spec(effective, type);
  return { spec, context: spec?.context ?? "<<none>>" };
}

interface Difference extends LabelQuestion {
  readonly ours: string;
  readonly theirs: string;
}

function differences(from: SelinuxPolicy, fileContexts: string, questions: readonly LabelQuestion[]): Difference[] {
  const answers = matchpathcon(fileContexts, questions);
  return questions.flatMap((question, index) => {
    const ours = label(from, question).context;
    const theirs = answers[index] as string;
    return ours === theirs ? [] : [{ ...question, ours, theirs }];
  });
}

/** Up to so many paths of this machine with their types, spread over the directories. */
function pathsOfMachine(limit: number): LabelQuestion[] {
  const all: LabelQuestion[] = [];
  for (const root of ["/etc", "/usr", "/var/lib"]) {
    for (const one of readdirSync(root, { withFileTypes: true, recursive: true })) {
      const path = join(one.parentPath, one.name);
      const type = one.isDirectory() ? "d" : one.isSymbolicLink() ? "l" : one.isFile() ? "-" : undefined;
      if (type !== undefined && !/[^\x20-\x7e]/.test(path)) all.push({ path, type });
    }
  }
  const every = Math.max(1, Math.floor(all.length / limit));
  return all.filter((_, index) => index % every === 0);
}

test("every path of this machine is labelled as libselinux does", () => {
  const questions = pathsOfMachine(30_000);
  expect(questions.length).toBeGreaterThan(1000);
  expect(differences(policy, join(files, "file_contexts"), questions)).toEqual([]);
});

/** Strings that a pattern matches: the `choice`-th way through it. */
function sample(pattern: Pattern, choice: number): string {
  switch (pattern.kind) {
    case "byte": {
      const bytes = [...Array.from({ length: 94 }, (_, at) => at + 33)].filter((byte) => pattern.set[byte] === 1);
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

test("paths made from every spec of the policy are labelled as libselinux does", () => {
  const questions = policy.specs.flatMap(({ pattern, type }, index) =>
    [0, 1, 2, 4].flatMap((choice): LabelQuestion[] => {
      const path = sample(pattern, choice);
      if (!/^(?:\/[!-.0-~]+)+$/.test(path)) return [];
      return [{ path, type: type ?? ((["-", "d", "l", "s"] as const)[(index + choice) % 4] as LabelQuestion["type"]) }];
    }),
  );
  expect(questions.length).toBeGreaterThan(2 * policy.specs.length);
  expect(differences(policy, join(files, "file_contexts"), questions)).toEqual([]);
});
