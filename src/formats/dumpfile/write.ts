import { type ByteString, compareByteStrings } from "../../lib/bytes/byte-string.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import type { DumpEntry, DumpMetadata, DumpNode } from "./entry.ts";
import { DUMPFILE_NONE, MODE_TYPE } from "./layout.ts";

/**
 * Writes one line as composefs-rs does, newline included. SIZE of a directory is 0.
 *
 * One difference: an object without fs-verity digest has no DIGEST, so that reading the line gives the same node again.
 */
export function encodeDumpLine(entry: DumpEntry): string {
  if (entry.kind === "hardlink") {
    return `${field(entry.path)} 0 @120000 - - - - 0.0 ${field(entry.target)} - -\n`;
  }
  const { node, meta, nlink } = entry;
  const { size, rdev, payload, content, digest } = columns(node);
  const mode = (modeType(node) | meta.mode).toString(8);
  return (
    `${field(entry.path)} ${size} ${mode} ${nlink} ${meta.uid} ${meta.gid} ${rdev} ` +
    `${meta.mtimeSec}.${meta.mtimeNsec} ${payload} ${content} ${digest}${xattrs(meta)}\n`
  );
}

interface Columns {
  readonly size: bigint | number;
  readonly rdev: number;
  readonly payload: string;
  readonly content: string;
  readonly digest: string;
}

const NONE: Columns = { size: 0, rdev: 0, payload: DUMPFILE_NONE, content: DUMPFILE_NONE, digest: DUMPFILE_NONE };

function columns(node: DumpNode): Columns {
  switch (node.kind) {
    case "inline": {
      const content = field(Buffer.from(node.bytes).toString("latin1") as ByteString);
      return { ...NONE, size: node.bytes.length, content };
    }
    case "external": {
      const digest = toHex(node.digest);
      return { ...NONE, size: node.size, payload: `${digest.slice(0, 2)}/${digest.slice(2)}`, digest };
    }
    case "unverified":
      return { ...NONE, size: node.size, payload: field(node.path) };
    case "sparse":
      return { ...NONE, size: node.size };
    case "symlink":
      return { ...NONE, size: node.target.length, payload: field(node.target) };
    case "char":
    case "block":
      return { ...NONE, rdev: node.rdev };
    case "directory":
    case "fifo":
    case "socket":
      return NONE;
    default:
      return node satisfies never;
  }
}

function modeType(node: DumpNode): number {
  switch (node.kind) {
    case "inline":
    case "external":
    case "unverified":
    case "sparse":
      return MODE_TYPE.file;
    default:
      return MODE_TYPE[node.kind];
  }
}

function xattrs(meta: DumpMetadata): string {
  if (meta.xattrs.size === 0) return "";
  const sorted = [...meta.xattrs].sort(([a], [b]) => compareByteStrings(a, b));
  return sorted
    .map(([name, value]) => ` ${escape(name).replaceAll("=", "\\x3d")}=${escape(value).replaceAll("=", "\\x3d")}`)
    .join("");
}

/** A value in a column where `-` stands for none. */
function field(text: ByteString): string {
  if (text.length === 0) return DUMPFILE_NONE;
  return text === DUMPFILE_NONE ? "\\x2d" : escape(text);
}

const SPECIAL = /[^\x21-\x7e]|\\/;
const EVERY_SPECIAL = new RegExp(SPECIAL, "g");
const NAMED: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escape(text: ByteString): string {
  if (!SPECIAL.test(text)) return text;
  return text.replace(EVERY_SPECIAL, (unit) => NAMED[unit] ?? `\\x${unit.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
