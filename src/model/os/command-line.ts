/** The rules of a sealed command line. */
import {
  type ComposefsArgument,
  findComposefsArguments,
  parseCommandLine,
  requirePlainCommandLine,
} from "../../formats/uki/index.ts";
import { PolicyError } from "../../lib/errors.ts";
import type { OsProblem } from "./problem.ts";

/**
 * The digests on a command line, which the kernel enforces: one in the short form, or several, each in another format.
 *
 * Whoever trusts the command line must check every one of them: which one a host takes is up to the host.
 *
 * @throws {PolicyError} `uki.cmdline.digest-missing`; `uki.cmdline.digest-several` for two that can mean the same
 *   format; `uki.cmdline.verity-optional`
 * @throws {FormatError} `uki.cmdline.composefs-digest`, `uki.cmdline.composefs-descriptor`, `uki.cmdline.character`
 */
export function requireDigestArguments(
  commandLine: string,
  { allowMissingVerity = false }: { readonly allowMissingVerity?: boolean } = {},
): readonly [ComposefsArgument, ...ComposefsArgument[]] {
  requirePlainCommandLine(commandLine);
  const [first, ...others] = findComposefsArguments(commandLine);
  if (first === undefined) {
    throw new PolicyError("uki.cmdline.digest-missing", "found no composefs= on the command line, expected one", {
      data: { commandLine },
      hint: "the UKI was built without sealing: build it with sealwright seal",
    });
  }
  const all = [first, ...others] as const;
  const forms = all.map(
    ({ algorithm, form, version }) => `${form} ${version ?? ""} ${form === "composefs" ? "" : algorithm}`,
  );
  const again = forms.find((form, index) => forms.indexOf(form) !== index);
  if (again !== undefined) {
    throw new PolicyError(
      "uki.cmdline.digest-several",
      `found ${all.length} digests on the command line, two of them as ${again.trim()}, expected one of each format`,
      { data: { commandLine } },
    );
  }
  if (all.some(({ optional }) => optional) && !allowMissingVerity) {
    throw new PolicyError(
      "uki.cmdline.verity-optional",
      'found "?" before the digest, expected none: a host without fs-verity boots the tree unprotected',
      { data: { commandLine }, hint: "seal without --allow-missing-verity, or accept it with that flag" },
    );
  }
  return all;
}

/**
 * What is allowed on a sealed command line and most likely still wrong.
 *
 * Problems: `uki.cmdline.rw-missing`, `uki.cmdline.selinux-permissive`, `uki.cmdline.verity-optional`.
 */
export function checkCommandLine(commandLine: string): OsProblem[] {
  const words = new Set(parseCommandLine(commandLine).map(({ text }) => text));
  const problems: OsProblem[] = [];
  if (!words.has("rw")) {
    problems.push({
      code: "uki.cmdline.rw-missing",
      message: "command line: found no rw, without which /etc and /var start read-only",
      hint: "add rw to a file in /usr/lib/bootc/kargs.d, or --karg rw",
    });
  }
  if (words.has("enforcing=0")) {
    problems.push({
      code: "uki.cmdline.selinux-permissive",
      message: "command line: found enforcing=0, with which SELinux denies nothing",
    });
  }
  if (findComposefsArguments(commandLine).some(({ optional }) => optional)) {
    problems.push({
      code: "uki.cmdline.verity-optional",
      message: "command line: found composefs=?, with which a host without fs-verity boots the tree unprotected",
    });
  }
  return problems;
}
