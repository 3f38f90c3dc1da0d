/**
 * The extended attributes through which overlayfs finds the objects of an image, and those that protect
 * a tree's own ones from being taken for them.
 *
 * @see Linux Documentation/filesystems/overlayfs.rst, "Metadata only copy up", "Data-only lower layers",
 *   "Nesting overlayfs mounts", "Whiteouts and opaque directories"
 * @see composefs specification, section 6.7
 */
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";

const bytes = (text: string): ByteString => text as ByteString;

export const OVERLAY_PREFIX = "trusted.overlay.";
/** What overlayfs turns into `trusted.overlay.` for a file system stacked on top. */
export const ESCAPED_PREFIX = "trusted.overlay.overlay.";

export const METACOPY = bytes("trusted.overlay.metacopy");
export const REDIRECT = bytes("trusted.overlay.redirect");
export const EMPTY = bytes("");

/** The root hides everything below it when the image is stacked. */
export const ROOT_OPAQUE = { name: bytes("trusted.overlay.opaque"), value: bytes("y") } as const;

/** On a file that stands for a whiteout. */
export const WHITEOUT_MARKERS: readonly ByteString[] = [
  bytes("trusted.overlay.overlay.whiteout"),
  bytes("user.overlay.whiteout"),
];

interface Marker {
  readonly name: ByteString;
  readonly value: ByteString;
}

const WHITEOUTS: readonly Marker[] = [
  { name: bytes("trusted.overlay.overlay.whiteouts"), value: EMPTY },
  { name: bytes("user.overlay.whiteouts"), value: EMPTY },
];

const OPAQUE: readonly Marker[] = [
  { name: bytes("trusted.overlay.overlay.opaque"), value: bytes("x") },
  { name: bytes("user.overlay.opaque"), value: bytes("x") },
];

/** On a directory that holds such a file, by composefs version; V2 knows no whiteouts. */
export const DIRECTORY_MARKERS: readonly (readonly Marker[])[] = [WHITEOUTS, [...WHITEOUTS, ...OPAQUE], []];

export const SELINUX_LABEL = bytes("security.selinux");

export function escapeXattrName(name: ByteString): ByteString {
  return name.startsWith(OVERLAY_PREFIX) ? bytes(ESCAPED_PREFIX + name.slice(OVERLAY_PREFIX.length)) : name;
}

/** @returns undefined for a name that belongs to the image and not to the tree in it */
export function unescapeXattrName(name: ByteString): ByteString | undefined {
  if (!name.startsWith(OVERLAY_PREFIX)) return name;
  return name.startsWith(ESCAPED_PREFIX) ? bytes(OVERLAY_PREFIX + name.slice(ESCAPED_PREFIX.length)) : undefined;
}

/** Length of the metacopy value's own header: version 0, total length, flags 0, algorithm. */
const METACOPY_HEADER = 4;

/** Writes the values of the two attributes through which a file with a given digest is found. */
export class ObjectValues {
  readonly #metacopy: Buffer;
  readonly #redirect: Buffer;

  constructor(algorithm: VerityAlgorithm) {
    const { id, digestSize } = VERITY_ALGORITHMS[algorithm];
    this.#metacopy = Buffer.alloc(METACOPY_HEADER + digestSize);
    this.#metacopy.set([0, METACOPY_HEADER + digestSize, 0, id]);
    this.#redirect = Buffer.alloc("//".length + 2 * digestSize, "/");
  }

  /** struct ovl_metacopy (fs/overlayfs/overlayfs.h). */
  metacopy(digest: Uint8Array): ByteString {
    this.#metacopy.set(digest, METACOPY_HEADER);
    return bytes(this.#metacopy.toString("latin1"));
  }

  /** `/` and the object path. */
  redirect(digest: Uint8Array): ByteString {
    let at = 1;
    for (const byte of digest) {
      this.#redirect[at] = HEX_DIGITS.charCodeAt(byte >> 4);
      this.#redirect[at + 1] = HEX_DIGITS.charCodeAt(byte & 0xf);
      // The first byte names the directory.
      at += at === 1 ? 3 : 2;
    }
    return bytes(this.#redirect.toString("latin1"));
  }
}

const HEX_DIGITS = "0123456789abcdef";

/** @returns undefined when it is no metacopy value with a digest */
export function parseMetacopy(
  value: ByteString,
): { readonly algorithm: VerityAlgorithm; readonly digest: Uint8Array } | undefined {
  for (const algorithm of Object.keys(VERITY_ALGORITHMS) as VerityAlgorithm[]) {
    const digest = Buffer.from(value.slice(METACOPY_HEADER), "latin1");
    if (digest.length !== VERITY_ALGORITHMS[algorithm].digestSize) continue;
    if (value === new ObjectValues(algorithm).metacopy(digest)) return { algorithm, digest };
  }
  return undefined;
}

/** `5a/5a5a...`: where a file with this digest lies in an object store. */
export function objectPath(hex: string): ByteString {
  return bytes(`${hex.slice(0, 2)}/${hex.slice(2)}`);
}

const HEX_NAME = /^[0-9a-f]{2}$/;

/** Names of the 256 entries that V0 and V1 put into the root, where an object store has its directories. */
export const STUB_NAMES: readonly ByteString[] = Array.from({ length: 256 }, (_, index) =>
  bytes(index.toString(16).padStart(2, "0")),
);

export const isStubName = (name: ByteString): boolean => HEX_NAME.test(name);
