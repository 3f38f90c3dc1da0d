import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type DebianFile, unpackDebianFile } from "./debian-file.ts";

/** The reference policy of Debian 12, built for modular use. */
const POLICY_PACKAGE: DebianFile = {
  path: "pool/main/r/refpolicy/selinux-policy-default_2.20221101-9_all.deb",
  sha1: "7343b11e14d81ff853a54c938328f696e3b8a8dc",
  sha256: "0577cfde2c03754bdb32ea1f103b94cd464c53d73c0c8210c85003e1faf88864",
};

/**
 * Debian's reference policy as its package would install it: `semodule` links all modules, on first use and in some
 * fifteen seconds, into a root of its own.
 *
 * @returns the directory with file_contexts, .homedirs and .subs_dist
 */
export async function debianPolicy(): Promise<string> {
  const unpacked = await unpackDebianFile(POLICY_PACKAGE);
  const built = `${unpacked}.built`;
  const files = join(built, "etc/selinux/default/contexts/files");
  if (existsSync(built)) return files;
  const work = mkdtempSync(`${built}-`);
  try {
    cpSync(unpacked, work, { recursive: true });
    const store = join(work, "usr/share/selinux/default");
    const modules = readdirSync(store).filter((name) => name.endsWith(".pp.bz2"));
    const install = modules.flatMap((name) => ["-i", join(store, name)]);
    execFileSync("semodule", ["-n", "-p", work, "-s", "default", "-X", "100", ...install], { stdio: "pipe" });
    if (!existsSync(built)) renameSync(work, built);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return files;
}

/** Types as `matchpathcon -m` takes them: it looks at the first letter. */
const MODES = { "-": "f", d: "d", l: "l", p: "p", s: "s", b: "b", c: "c" } as const;

export interface LabelQuestion {
  /** Absolute. */
  readonly path: string;
  readonly type: keyof typeof MODES;
}

/**
 * What libselinux would label paths by a file_contexts file and its neighbours.
 *
 * @returns in the order of the questions, `<<none>>` for no label
 */
export function matchpathcon(fileContexts: string, questions: readonly LabelQuestion[]): string[] {
  const answers: string[] = [];
  for (const type of Object.keys(MODES) as (keyof typeof MODES)[]) {
    const indexes = questions.flatMap((question, index) => (question.type === type ? [index] : []));
    for (let at = 0; at < indexes.length; at += 4000) {
      const some = indexes.slice(at, at + 4000);
      const paths = some.map((index) => questions[index]?.path as string);
      const argv = ["-n", "-N", "-f", fileContexts, "-m", MODES[type], "--", ...paths];
      const lines = execFileSync("matchpathcon", argv, { encoding: "utf8", maxBuffer: 1 << 26 }).split("\n");
      for (const [place, index] of some.entries()) answers[index] = lines[place] as string;
    }
  }
  return answers;
}
