/** bootc's lint of accounts: those of an image should be declared to systemd-sysusers. */
import { findFile } from "../../model/os/index.ts";
import type { LintContext } from "./context.ts";
import { type Finding, findingOf, type Lint } from "./lint.ts";
import { walk } from "./walk.ts";

export const ACCOUNT_LINTS: readonly Lint[] = [
  {
    name: "sysusers",
    level: "warning",
    description:
      "Users and groups should be declared in sysusers.d: /etc of a host is not replaced by that of an image.",
    check: checkAccounts,
  },
];

async function checkAccounts(context: LintContext): Promise<Finding | undefined> {
  const { groups, users } = await declaredAccounts(context);
  const missing = [
    ...(await namesIn(context, "/etc/passwd")).filter((name) => !users.has(name)).map((name) => `user ${name}`),
    ...(await namesIn(context, "/etc/group")).filter((name) => !groups.has(name)).map((name) => `group ${name}`),
  ];
  return findingOf("lint.accounts.undeclared", "found accounts without an entry in /usr/lib/sysusers.d", missing);
}

/** First column of passwd(5) and group(5). */
async function namesIn(context: LintContext, path: string): Promise<string[]> {
  const file = findFile(context.tree, path);
  if (file === undefined) return [];
  const lines = (await context.readText(file)).split("\n").filter((line) => /^[^#:\s][^:]*:/.test(line));
  return lines.map((line) => line.slice(0, line.indexOf(":"))).sort();
}

/** sysusers.d(5): `u` makes a user and a group of the same name, `g` a group. */
async function declaredAccounts(context: LintContext) {
  const users = new Set<string>();
  const groups = new Set<string>();
  for (const { node, path } of walk(context.tree, "/usr/lib/sysusers.d")) {
    if (node.kind !== "file" || !path.endsWith(".conf")) continue;
    for (const line of (await context.readText({ path, content: node.content })).split("\n")) {
      const [, type, name] = /^\s*([ug])!?\s+"?([^\s"]+)/.exec(line) ?? [];
      if (name === undefined) continue;
      if (type === "u") users.add(name);
      groups.add(name);
    }
  }
  return { users, groups };
}
