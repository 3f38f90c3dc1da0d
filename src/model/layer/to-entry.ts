import type { TarItem } from "../../formats/tar/index.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { type Content, type Metadata, makeDevice } from "../tree/tree.ts";
import type { LayerEntry } from "./entry.ts";

/** MAJOR and MINOR have 12 and 20 bits in a 32-bit device number (composefs specification, section 2). */
const MAJOR_MAX = 0xfff;
const MINOR_MAX = 0xfffff;

/**
 * A tar entry as one of a layer.
 *
 * @param content of a file
 * @throws {FormatError} `layer.device.too-large`
 */
export function toLayerEntry({ entry, offset }: TarItem, content: () => Content): LayerEntry {
  const { path, mode, uid, gid, mtimeSec, mtimeNsec, xattrs } = entry;
  const meta: Metadata = { mode, uid, gid, mtimeSec, mtimeNsec, xattrs };
  switch (entry.kind) {
    case "file":
      return { path, meta, kind: entry.kind, content: content() };
    case "hardlink":
    case "symlink":
      return { path, meta, kind: entry.kind, target: entry.target };
    case "char":
    case "block": {
      const { major, minor } = entry;
      if (major > MAJOR_MAX || minor > MINOR_MAX) {
        throw new FormatError("layer.device.too-large", {
          what: `device number of ${quote(path)}`,
          offset,
          expected: `at most ${MAJOR_MAX}:${MINOR_MAX}`,
          found: `${major}:${minor}`,
        });
      }
      return { path, meta, kind: entry.kind, rdev: makeDevice(major, minor) };
    }
    case "directory":
    case "fifo":
      return { path, meta, kind: entry.kind };
    default:
      return entry satisfies never;
  }
}
