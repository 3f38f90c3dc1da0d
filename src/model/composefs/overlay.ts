/**
 * The extended attributes through which overlayfs finds the objects of an image, and those that protect
 * a tree's own ones from being taken for them.
 *
 * @see Linux Documentation/filesystems/overlayfs.rst, "Metadata only copy up", "Data-only lower layers",
 *   "Nesting overlayfs mounts", "Whiteouts and opaque directories"
 * @see composefs specification, section 6.7
 */
import type { ValueForm } from "../../formats/erofs/index.ts";
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

/** struct ovl_metacopy (fs/overlayfs/overlayfs.h), made of a digest. */
export function metacopyForm(algorithm: VerityAlgorithm): ValueForm {
  const { id, digestSize } = VERITY_ALGORITHMS[algorithm];
  const size = METACOPY_HEADER + digestSize;
  return {
    size,
    put(digest, into, at) {
      into[at] = 0;
      into[at + 1] = size;
      into[at + 2] = 0;
      into[at + 3] = id;
      into.set(digest, at + METACOPY_HEADER);
    },
  };
}

/** `/` and the object path, made of a digest. */
export function redirectForm(algorithm: VerityAlgorithm): ValueForm {
  const { digestSize } = VERITY_ALGORITHMS[algorithm];
  return {
    size: "//".length + 2 * digestSize,
    put(digest, into, at) {
      into[at] = SLASH;
      putHex(digest[0] as number, into, at + 1);
      into[at + 3] = SLASH; // the first byte names the directory
      for (let index = 1; index < digestSize; index++) putHex(digest[index] as number, into, at + 2 + 2 * index);
    },
  };
}

const SLASH = 0x2f;
const HEX_DIGITS = Buffer.from("0123456789abcdef");

function putHex(byte: number, into: Uint8Array, at: number): void {
  into[at] = HEX_DIGITS[byte >> 4] as number;
  into[at + 1] = HEX_DIGITS[byte & 0xf] as number;
}

/** @returns undefined when it is no metacopy value with a digest */
export function parseMetacopy(
  value: ByteString,
): { readonly algorithm: VerityAlgorithm; readonly digest: Uint8Array } | undefined {
  for (const algorithm of Object.keys(VERITY_ALGORITHMS) as VerityAlgorithm[]) {
    const digest = Buffer.from(value.slice(METACOPY_HEADER), "latin1");
    if (digest.length !== VERITY_ALGORITHMS[algorithm].digestSize) continue;
    const form = metacopyForm(algorithm);
    const written = Buffer.alloc(form.size);
    form.put(digest, written, 0);
    if (value === written.toString("latin1")) return { algorithm, digest };
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
