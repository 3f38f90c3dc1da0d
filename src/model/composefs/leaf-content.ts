import type { ErofsContent } from "../../formats/erofs/index.ts";
import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { FormatError, PolicyError } from "../../lib/errors.ts";
import type { Content, Leaf } from "../tree/tree.ts";
import type { ComposefsFormat } from "./format.ts";

/** Limit of Linux (PATH_MAX without the terminator), and of libcomposefs. */
const SYMLINK_MAX = 4095;
/** The largest file that libcomposefs can describe: 1024 chunks of 2^43 bytes. */
const FILE_SIZE_MAX = 2n ** 53n;

export const NOTHING: ErofsContent = { kind: "none" };

/** What the inode of a leaf holds. */
export function leafContent(node: Leaf, path: string, name: ByteString): ErofsContent {
  switch (node.kind) {
    case "file":
      return fileContent(node.content, path, name);
    case "symlink": {
      const { length } = node.target;
      if (length === 0 || length > SYMLINK_MAX) {
        throw refuse(
          "composefs.symlink.target-length",
          path,
          name,
          `a target of 1 to ${SYMLINK_MAX} bytes`,
          `${length}`,
        );
      }
      return { kind: "symlink", target: node.target };
    }
    case "char":
    case "block":
      return { kind: "device", rdev: node.rdev };
    case "fifo":
    case "socket":
      return NOTHING;
    default:
      return node satisfies never;
  }
}

function fileContent(content: Content, path: string, name: ByteString): ErofsContent {
  if (content.kind === "inline") {
    return content.bytes.length === 0 ? NOTHING : { kind: "inline", bytes: content.bytes };
  }
  if (content.size > FILE_SIZE_MAX) {
    throw refuse("composefs.file.size", path, name, `at most ${FILE_SIZE_MAX} bytes`, String(content.size));
  }
  return { kind: "chunks", size: Number(content.size), backed: content.kind === "external" };
}

const showPath = (path: string, name: ByteString): string => `"${showByteString(`${path}/${name}` as ByteString)}"`;

function refuse(code: string, path: string, name: ByteString, expected: string, found: string): FormatError {
  return new FormatError(code, { what: showPath(path, name), expected, found });
}

// oxlint-disable-next-line no-control-regex -- NUL ends a name in every system call
const NO_NAME = /[/\x00]|^\.{0,2}$/;

export function requireName(name: ByteString, path: string): void {
  if (!NO_NAME.test(name)) return;
  throw refuse(
    "composefs.name.malformed",
    path,
    name,
    'a name other than "", "." and "..", without "/" and NUL',
    "another",
  );
}

export function missingDigest(
  content: Content & { kind: "external" },
  { algorithm, name: format }: ComposefsFormat,
  path: string,
  name: ByteString,
): PolicyError {
  const present = Object.keys(content.digests).join(", ") || "no";
  return new PolicyError(
    "composefs.digest.missing",
    `${showPath(path, name)}: format ${format} needs the ${algorithm} fs-verity digest of the file, the tree has ${present}`,
    { data: { format, algorithm }, hint: "read the tree with this format, or ask for a format of the digests it has" },
  );
}

export function hardLinkedWhiteout(path: string, name: ByteString): PolicyError {
  return new PolicyError(
    "composefs.whiteout.hard-linked",
    `${showPath(path, name)}: a whiteout with more than one name, which composefs-rs refuses`,
  );
}
