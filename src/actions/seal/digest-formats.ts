/** Which digests a seal puts on the command line, and how they are spelled there: docs/format/command-line.md. */
import { UsageError } from "../../lib/errors.ts";
import { type ComposefsFormat, DEFAULT_COMPOSEFS_FORMAT, parseComposefsFormat } from "../../model/composefs/index.ts";

export type DigestFormats = readonly [ComposefsFormat, ...ComposefsFormat[]];

export interface FormatDigest {
  readonly format: ComposefsFormat;
  /** Lower-case hex. */
  readonly hex: string;
}

/**
 * @param list names with commas between them; `v1` and `v2` stand for `v1-sha512` and `v2-sha512`
 * @throws {UsageError} `composefs.format.unknown`; `seal.formats.same-spelling` for two formats that a command line
 *   cannot tell apart: 0 and 1 of one hash, or one format twice
 */
export function parseDigestFormats(list: string | undefined): DigestFormats {
  if (list === undefined) return [DEFAULT_COMPOSEFS_FORMAT];
  const names = list.split(",").map((name) => name.trim().replace(/^(v[012])$/, "$1-sha512"));
  const formats = names.map((name) => parseComposefsFormat(name));
  const spellings = formats.map(descriptor);
  const again = spellings.find((spelling, index) => spellings.indexOf(spelling) !== index);
  if (again !== undefined) {
    throw new UsageError(
      "seal.formats.same-spelling",
      `digest formats ${list}: two of them are ${again} on a command line, expected different ones`,
    );
  }
  return formats as unknown as DigestFormats;
}

/** `v1-sha512-12`: as composefs-rs names formats on command lines, 0 and 1 alike, with log2 of the block size. */
function descriptor({ algorithm, version }: ComposefsFormat): string {
  return `v${version === 2 ? 2 : 1}-${algorithm}-12`;
}

/**
 * The kernel parameters of some digests: the short form alone for one, as bootc writes it; for several, the long form
 * of each in the given order, then one in the short form.
 *
 * Readers of the long form take the first they can use, or the first whose image is there. Readers of the short form
 * alone are those that know format 2 and nothing else, so it is that of format 2 where there is one.
 *
 * @param optional write `?`: fs-verity may be missing
 * @see composefs specification, section 5.4
 */
export function spellDigests(digests: readonly FormatDigest[], optional: boolean): string {
  const mark = optional ? "?" : "";
  const [first] = digests;
  const short =
    digests.find(({ format }) => format.version === 2 && format.algorithm === "sha512") ??
    digests.find(({ format }) => format.algorithm === "sha512") ??
    first;
  if (short === undefined) throw new RangeError("no digest to spell");
  const long =
    digests.length === 1 ? [] : digests.filter((each) => each !== short || each === first || !isShortOnly(each));
  return [
    ...long.map(({ format, hex }) => `composefs.digest=${mark}${descriptor(format)}:${hex}`),
    `composefs=${mark}${short.hex}`,
  ].join(" ");
}

/** composefs-rs takes the short form for format 2, so it needs no other. */
const isShortOnly = ({ format }: FormatDigest): boolean => format.version === 2 && format.algorithm === "sha512";
