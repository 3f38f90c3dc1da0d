import type { ErofsReport } from "../../actions/erofs/inspect-erofs.ts";
import type { ListedNode } from "../../actions/erofs/list-erofs.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";

export function showErofs(report: ErofsReport): Shown {
  const { composefsVersion, contents, fsverity, inodes, names, size, superblock } = report;
  const counts = Object.entries(names).flatMap(([kind, count]) => (count === 0 ? [] : [`${count} ${kind}`]));
  const rows: [string, string][] = [
    ["image", `${report.file}  ${showSize(size)}`],
    ["composefs", composefsVersion === null ? "no header" : `format ${composefsVersion}`],
    ["fs-verity", `sha256:${fsverity.sha256}`],
    ["", `sha512:${fsverity.sha512}`],
    ["blocks", `${superblock.blockCount} of ${superblock.blockSize} bytes`],
    ["build time", `${superblock.buildTime}.${String(superblock.buildTimeNsec).padStart(9, "0")}`],
    ["inodes", `${inodes} in use, ${superblock.inodeCount} in the superblock`],
    ["names", counts.join(", ")],
    ["contents", `${contents.stored.files} in the image (${showSize(contents.stored.bytes)})`],
    ["", `${contents.objects.files} as objects (${showSize(contents.objects.bytes)})`],
  ];
  return { text: rows.map(([title, value]) => `${title.padEnd(13)} ${value}`).join("\n"), json: report };
}

/** @param long with mode, owner, size and time, as `ls -l` */
export function showListing(nodes: readonly ListedNode[], long: boolean): Shown {
  const lines = nodes.map((node) => (long ? showLong(node) : node.path));
  return { text: lines.join("\n"), json: nodes };
}

const TYPE_LETTERS = {
  fifo: "p",
  char: "c",
  directory: "d",
  block: "b",
  file: "-",
  symlink: "l",
  socket: "s",
} as const satisfies Record<ListedNode["kind"], string>;

function showLong(node: ListedNode): string {
  const { gid, kind, mode, mtime, nlink, object, path, size, target, uid } = node;
  const where = target !== undefined ? ` -> ${target}` : object !== undefined ? `  [${object}]` : "";
  const owner = `${String(uid).padStart(5)} ${String(gid).padStart(5)}`;
  const more = node.xattrs.length > 0 ? "+" : " ";
  const permissions = `${TYPE_LETTERS[kind]}${showPermissions(mode)}${more}`;
  return `${permissions}${String(nlink).padStart(3)} ${owner} ${String(size).padStart(10)} ${mtime} ${path}${where}`;
}

/** `rwxr-sr-t`: three bits each for owner, group and others; set-id and sticky take the place of an x. */
function showPermissions(mode: number): string {
  const special = ["s", "s", "t"] as const;
  return special
    .map((letter, index) => {
      const bits = (mode >> (6 - 3 * index)) & 7;
      const isSpecial = ((mode >> (11 - index)) & 1) === 1;
      const execute = (bits & 1) === 1 ? (isSpecial ? letter : "x") : isSpecial ? letter.toUpperCase() : "-";
      return `${(bits & 4) === 4 ? "r" : "-"}${(bits & 2) === 2 ? "w" : "-"}${execute}`;
    })
    .join("");
}
