import { FormatError, NotFoundError, quote } from "../../lib/errors.ts";
import { loadHostText } from "./host-file.ts";

/** A line of proc_pid_mountinfo(5). */
export interface Mount {
  readonly id: number;
  readonly parent: number;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  /** The part of the file system that is mounted: `/` for all of it. */
  readonly subtree: string;
  readonly mountPoint: string;
  /** Of this mount: `ro`, `nosuid`. */
  readonly options: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Of the file system, whichever mount shows it: `ro`, `verity=require`. */
  readonly superOptions: readonly string[];
}

/** Safety limits, not format rules: container hosts have some thousand mounts. */
const MAX_SIZE = 16 << 20;
const MAX_MOUNTS = 100_000;

/** @throws {NotFoundError} `host.no-proc`; {FormatError} `host.mountinfo` */
export async function loadMounts(root: string): Promise<Mount[]> {
  const text = await loadHostText(root, "proc/self/mountinfo", MAX_SIZE);
  if (text === undefined) throw new NotFoundError("host.no-proc", "/proc/self/mountinfo: there is no such file");
  return parseMountinfo(text);
}

/**
 *     36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 *     id     device subtree mount point        optional fields   type source    options of the file system
 *        parent               options
 *
 * @throws {FormatError} `host.mountinfo`
 */
export function parseMountinfo(text: string): Mount[] {
  const lines = text.split("\n").filter((line) => line !== "");
  if (lines.length > MAX_MOUNTS) throw malformed(`at most ${MAX_MOUNTS} lines`, String(lines.length));
  return lines.map(parseLine);
}

function parseLine(line: string): Mount {
  const [before = "", behind] = line.split(" - ", 2);
  const [id = "", parent = "", device = "", subtree, mountPoint, options] = before.split(" ");
  const [type, source, superOptions] = behind?.split(" ") ?? [];
  if (
    [id, parent].some((number) => !/^\d{1,10}$/.test(number)) ||
    [subtree, mountPoint, options, type, source, superOptions].includes(undefined)
  ) {
    throw malformed("the fields of proc_pid_mountinfo(5)", quote(line));
  }
  return {
    id: Number(id),
    parent: Number(parent),
    device,
    subtree: unescapeOctal(subtree as string),
    mountPoint: unescapeOctal(mountPoint as string),
    options: (options as string).split(","),
    type: type as string,
    source: unescapeOctal(source as string),
    superOptions: (superOptions as string).split(",").map(unescapeOctal),
  };
}

function malformed(expected: string, found: string): FormatError {
  return new FormatError("host.mountinfo", { what: "/proc/self/mountinfo", expected, found });
}

/** Blanks and backslashes are written as `\ooo`. */
const unescapeOctal = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/**
 * The mount in which a path lies, found as the kernel finds it: from the root down, at each step into what is mounted
 * there. A mount that another one covers is never reached.
 *
 * @param path absolute, without links and dots
 */
export function findMount(mounts: readonly Mount[], path: string): Mount | undefined {
  const ids = new Set(mounts.map(({ id }) => id));
  let current = mounts.find(({ mountPoint, parent }) => mountPoint === "/" && !ids.has(parent));
  for (let steps = 0; current !== undefined && steps < mounts.length; steps++) {
    const { id } = current;
    const next = mounts
      .filter((mount) => mount.parent === id && mount.id !== id && isBelow(path, mount.mountPoint))
      .reduce<Mount | undefined>(
        (a, b) => (a === undefined || b.mountPoint.length < a.mountPoint.length ? b : a),
        undefined,
      );
    if (next === undefined) return current;
    current = next;
  }
  return current;
}

/** Whether a path is a mount point or lies below it. */
export const isBelow = (path: string, mountPoint: string): boolean =>
  mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`);

/** Whether neither the mount nor its file system can be written to. */
export const isReadOnly = ({ options, superOptions }: Mount): boolean =>
  options.includes("ro") || superOptions.includes("ro");
