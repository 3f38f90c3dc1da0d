/** Values of the two sides in words. */
import { type ByteString, bytesToByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { type Content, isWhiteout, type Metadata, type TreeNode } from "../../model/tree/tree.ts";

/** Longest shown value of hostile length. */
const MAX_SHOWN = 120;

export function showText(text: ByteString): string {
  const cut = text.length > MAX_SHOWN ? (text.slice(0, MAX_SHOWN) as ByteString) : text;
  return `"${showByteString(cut)}"${cut === text ? "" : `... (${text.length} bytes)`}`;
}

export const showMode = (mode: number): string => `0${mode.toString(8).padStart(3, "0")}`;

export const showOwner = ({ gid, uid }: Metadata): string => `${uid}:${gid}`;

/** Seconds that a four-digit year of ISO 8601 can tell. */
const FIRST_DATE = -62_135_596_800n;
const LAST_DATE = 253_402_300_799n;

export function showTime({ mtimeNsec, mtimeSec }: Metadata): string {
  const fraction = mtimeNsec === 0 ? "" : `.${String(mtimeNsec).padStart(9, "0")}`;
  if (mtimeSec < FIRST_DATE || mtimeSec > LAST_DATE) return `${mtimeSec}${fraction} s`;
  return new Date(Number(mtimeSec) * 1000).toISOString().replace(".000Z", `${fraction}Z`);
}

export function showKind(node: TreeNode): string {
  switch (node.kind) {
    case "symlink":
      return "symbolic link";
    case "char":
      return isWhiteout(node) ? "whiteout (character device 0)" : "character device";
    case "block":
      return "block device";
    default:
      return node.kind;
  }
}

export function showContent(content: Content): string {
  switch (content.kind) {
    case "inline":
      return `${content.bytes.length} bytes ${showText(bytesToByteString(content.bytes))}`;
    case "external": {
      const [[algorithm, digest] = []] = Object.entries(content.digests);
      return `${content.size} bytes, ${algorithm} ${digest === undefined ? "?" : toHex(digest).slice(0, 32)}...`;
    }
    case "unverified":
      return `${content.size} bytes in ${showText(content.path)}, without fs-verity digest`;
    case "sparse":
      return `${content.size} bytes without content`;
    default:
      return content satisfies never;
  }
}
