import { appendParameters, parseCommandLine, requirePlainCommandLine } from "../../formats/uki/index.ts";
import { PolicyError } from "../../lib/errors.ts";

export interface CommandLineParts {
  /** Of the image's kargs.d, in file order. */
  readonly fromImage: readonly string[];
  /** `composefs=<digest>` and what goes with it: see `spellDigests`. */
  readonly seal: string;
  /** Of the person who seals. */
  readonly extra: readonly string[];
}

/**
 * The command line in the order bootc composes it: kargs.d, digest, extra parameters; exact repetitions once.
 *
 * @throws {PolicyError} `uki.cmdline.digest-given` when the image or the user brings a digest of their own
 * @throws {FormatError} `uki.cmdline.character`
 * @see bootc specification, section 2.4
 */
export function composeCommandLine({ fromImage, seal, extra }: CommandLineParts): string {
  const given = [...fromImage, ...extra].flatMap(parseCommandLine);
  const foreign = given.find(({ key }) => key === "composefs" || key === "composefs.digest");
  if (foreign !== undefined) {
    throw new PolicyError(
      "uki.cmdline.digest-given",
      `kernel parameter "${foreign.text}": the digest is computed, never given`,
      {
        hint: "remove the parameter from kargs.d and from --karg",
      },
    );
  }
  const commandLine = [fromImage.join(" "), seal, extra.join(" ")].reduce(appendParameters, "");
  requirePlainCommandLine(commandLine);
  return commandLine;
}
