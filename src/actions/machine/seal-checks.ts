import { toHex } from "../../lib/bytes/numbers.ts";
import { findBootedRoot, parseMountinfo } from "../../model/host/index.ts";
import type { GuestReport } from "./guest-check.ts";
import type { SealedDisk } from "./sealed-disk.ts";

/** One thing that was to hold, and what was found. */
export interface Check {
  /** Stable, for machines. */
  readonly name: string;
  readonly title: string;
  readonly status: "holds" | "broken";
  readonly detail: string;
  /** Cause code of a broken one. */
  readonly code?: string;
}

/** NV attributes of SecureBoot and SetupMode, then their value (UEFI 2.10 §3.3). */
const ON = "0600000001";
const OFF = "0600000000";

/**
 * Judges what a running system says of itself against what its disk says it must be.
 *
 * All of it is the system's own word. The firmware's refusal of everything unsigned is what gives it weight, and the
 * tamper cases are what proves that refusal.
 */
export function checkSeal(report: GuestReport, disk: SealedDisk): Check[] {
  return CHECKS.map(({ code, name, title, judge }) => {
    const { detail, holds } = judge(report, disk);
    return { name, title, status: holds ? "holds" : "broken", detail, ...(holds ? {} : { code }) };
  });
}

interface Judgement {
  readonly holds: boolean;
  readonly detail: string;
}

interface Rule {
  readonly name: string;
  readonly title: string;
  readonly code: string;
  readonly judge: (report: GuestReport, disk: SealedDisk) => Judgement;
}

const CHECKS: readonly Rule[] = [
  {
    name: "secure-boot",
    title: "Secure Boot",
    code: "seal.secure-boot.off",
    judge: ({ secureBoot, setupMode }) => ({
      holds: toHex(secureBoot) === ON && toHex(setupMode) === OFF,
      detail: `SecureBoot ${showVariable(secureBoot)}, SetupMode ${showVariable(setupMode)}`,
    }),
  },
  {
    name: "command-line",
    title: "command line",
    code: "seal.command-line.differs",
    judge: ({ commandLine }, disk) => ({
      holds: commandLine === disk.commandLine,
      detail:
        commandLine === disk.commandLine
          ? `as signed, composefs=${short(disk.digest)}`
          : `not as signed: ${commandLine}`,
    }),
  },
  {
    name: "root",
    title: "root",
    code: "seal.root.not-verified",
    judge: ({ root }, { digest }) => judgeRoot(root, digest),
  },
  {
    name: "image",
    title: "EROFS image",
    code: "seal.image.digest-differs",
    judge: ({ measured }, { digest }) => ({
      holds: measured === `sha512:${digest}`,
      detail: measured === "" ? "the kernel measured nothing" : `fs-verity ${short(measured.replace("sha512:", ""))}`,
    }),
  },
  {
    name: "usr",
    title: "/usr",
    code: "seal.usr.writable",
    judge: ({ writable }) => ({ holds: !writable["/usr"], detail: writable["/usr"] ? "can be written" : "read-only" }),
  },
  {
    name: "state",
    title: "/etc and /var",
    code: "seal.state.read-only",
    judge: ({ writable }) => ({
      holds: writable["/etc"] && writable["/var"],
      detail: `/etc ${writable["/etc"] ? "writable" : "read-only"}, /var ${writable["/var"] ? "writable" : "read-only"}`,
    }),
  },
];

function judgeRoot(line: string, digest: string): Judgement {
  const root = line === "" ? undefined : findBootedRoot(parseMountinfo(line));
  if (root === undefined) return { holds: false, detail: "not known" };
  const { digestHex, mount, verityRequired } = root;
  return {
    holds: verityRequired && digestHex === digest,
    detail: `${mount.type} ${short(digestHex ?? mount.source)}, verity=require ${verityRequired ? "set" : "absent"}`,
  };
}

function showVariable(bytes: Uint8Array): string {
  return bytes.length === 0 ? "absent" : String(bytes.at(-1));
}

const short = (hex: string): string => (hex.length > 16 ? `${hex.slice(0, 16)}…` : hex);
