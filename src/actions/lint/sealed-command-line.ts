/** Lints of the kernel command line: that of the UKI, or what kargs.d would give it. */
import { findComposefsArguments, findText, parseCommandLine } from "../../formats/uki/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { COMPOSEFS_FORMATS, computeComposefsDigest } from "../../model/composefs/index.ts";
import { requireDigestArguments } from "../../model/os/index.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import { cloneTree } from "../../model/tree/clone.ts";
import type { LintContext } from "./context.ts";
import type { Finding, Lint } from "./lint.ts";

export const COMMAND_LINE_LINTS: readonly Lint[] = [
  {
    name: "cmdline-digest",
    level: "fatal",
    description: "The command line of a UKI must carry composefs= with a digest.",
    check: async (context) => {
      const uki = await context.uki();
      if (uki !== undefined) requireDigestArguments(findText(uki, ".cmdline") ?? "", { allowMissingVerity: true });
      return undefined;
    },
  },
  {
    name: "cmdline-enforcing",
    level: "warning",
    description: "enforcing=0 makes SELinux deny nothing.",
    check: async (context) =>
      (await words(context)).has("enforcing=0")
        ? { code: "uki.cmdline.selinux-permissive", message: "found enforcing=0 on the command line, expected none" }
        : undefined,
  },
  {
    name: "cmdline-rw",
    level: "warning",
    description: "Without rw on the command line /etc and /var of a host start read-only.",
    check: async (context) =>
      (await words(context)).has("rw")
        ? undefined
        : { code: "uki.cmdline.rw-missing", message: "found no rw on the command line, expected it" },
  },
  {
    name: "cmdline-verity-optional",
    level: "warning",
    description: "composefs=? lets a host boot the tree without fs-verity: that seals nothing.",
    check: async (context) =>
      (await context.uki()) !== undefined &&
      findComposefsArguments(await context.commandLine()).some(({ optional }) => optional)
        ? { code: "uki.cmdline.verity-optional", message: 'found "?" before the digest, expected none' }
        : undefined,
  },
  {
    name: "uki-digest",
    level: "fatal",
    description: "Every digest on the command line of a UKI must be that of the image's own tree.",
    check: checkDigests,
  },
];

async function words(context: LintContext): Promise<ReadonlySet<string>> {
  return new Set(parseCommandLine(await context.commandLine()).map(({ text }) => text));
}

async function checkDigests(context: LintContext): Promise<Finding | undefined> {
  const uki = await context.uki();
  const given = uki === undefined ? [] : findComposefsArguments(findText(uki, ".cmdline") ?? "");
  for (const algorithm of new Set(given.map((argument) => argument.algorithm))) {
    await using other = algorithm === "sha512" ? null : await context.settings.reopen(algorithm);
    const digests = await digestsOf(other ?? context.settings.source, algorithm);
    const wrong = given.find(
      (argument) =>
        argument.algorithm === algorithm &&
        !digests.some(
          ({ hex, version }) =>
            hex === argument.digestHex &&
            (argument.version === undefined || (argument.version === 2) === (version === 2)),
        ),
    );
    if (wrong === undefined) continue;
    const found = digests.map(({ hex, name }) => `${name} ${hex}`).join(", ");
    return { code: "digest.mismatch", message: `found ${wrong.digestHex} on the command line, the tree has ${found}` };
  }
  return undefined;
}

async function digestsOf(source: TreeSource, algorithm: "sha256" | "sha512") {
  const tree = cloneTree(source.tree);
  await toCanonicalTree({ ...source, tree }, false);
  return COMPOSEFS_FORMATS.filter((format) => format.algorithm === algorithm).map((format) => ({
    ...format,
    hex: toHex(computeComposefsDigest(tree, format)),
  }));
}
