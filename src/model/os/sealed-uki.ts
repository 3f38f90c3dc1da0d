/** The rules of a UKI that a sealed host boots. */
import { requireLoadable } from "../../formats/pe/index.ts";
import { findSection, findText, parseUki, type Uki } from "../../formats/uki/index.ts";
import { FormatError, PolicyError } from "../../lib/errors.ts";
import { requireDigestArguments } from "./command-line.ts";

/** What a host boots (bootc specification, 1.2 S1 and S2). */
const NEEDED_SECTIONS = [".linux", ".initrd", ".cmdline", ".osrel"];

/**
 * Parses a UKI that firmware can load and that has all a host needs. Signatures are not judged.
 *
 * @param path for messages
 * @throws {FormatError} `pe.…`, `uki.…`; `uki.section.missing`
 */
export function requireBootableUki(bytes: Uint8Array, path: string): Uki {
  const uki = parseUki(bytes);
  requireLoadable(uki.pe);
  const missing = NEEDED_SECTIONS.filter((name) => findSection(uki, name) === undefined);
  if (missing.length > 0) {
    const what = `${path}: sections`;
    const expected = NEEDED_SECTIONS.join(" ");
    throw new FormatError("uki.section.missing", { what, expected, found: `no ${missing.join(" ")}` });
  }
  return uki;
}

export type SealArguments = ReturnType<typeof requireDigestArguments>;

/**
 * The digests on the command line of a UKI. Every profile boots the same tree: the digest of one that says another would
 * never be checked.
 *
 * @throws as `requireDigestArguments`; {PolicyError} `uki.cmdline.digest-several`
 */
export function requireSealArguments(uki: Uki, options: { readonly allowMissingVerity?: boolean } = {}): SealArguments {
  const count = Math.max(1, uki.profiles.length);
  const found = Array.from({ length: count }, (_, profile) =>
    requireDigestArguments(findText(uki, ".cmdline", profile) ?? "", options),
  );
  const [first, ...others] = found as [SealArguments, ...SealArguments[]];
  const digests = (given: SealArguments): string =>
    given.map(({ digestHex, form }) => `${form}=${digestHex}`).join(" ");
  if (others.every((other) => digests(other) === digests(first))) return first;
  throw new PolicyError("uki.cmdline.digest-several", "the profiles of the UKI name different digests, expected one", {
    data: { digests: found.map(digests) },
  });
}
