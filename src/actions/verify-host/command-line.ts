import { checkCommandLine, requireDigestArguments, type SealArguments } from "../../model/os/index.ts";
import { describeArguments } from "../../model/verdict/describe.ts";
import type { HostVerdictBuilder } from "./verdict.ts";

/** The digests that the running kernel was told. */
export async function verifyCommandLine(
  verdict: HostVerdictBuilder,
  commandLine: string,
  options: { readonly allowMissingVerity?: boolean },
): Promise<SealArguments | undefined> {
  const given = await verdict.check(
    "command-line",
    () => requireDigestArguments(commandLine, options),
    describeArguments,
  );
  if (given !== undefined) for (const problem of checkCommandLine(commandLine)) verdict.warn("command-line", problem);
  return given;
}
