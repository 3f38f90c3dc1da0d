/** What a comparison of two images tells. Every list is complete; who shows it decides how much to show. */
import type { Capabilities } from "./capabilities.ts";
import type { Aspect, DirectorySize } from "./compare-trees.ts";

export interface DiffReport {
  readonly a: SideReport;
  readonly b: SideReport;
  /** Whether the trees differ in anything, times included. */
  readonly differs: boolean;
  /** Programs with more rights than who starts them: set-id bits and file capabilities. */
  readonly privileges: readonly PrivilegeChange[];
  readonly units: readonly UnitChange[];
  /** Parameters of kargs.d, and those of the UKI's own command line. */
  readonly kernelArguments: { readonly kargs: ListChange; readonly commandLine: ListChange };
  readonly ukis: readonly UkiChange[];
  readonly initramfs: InitramfsReport | null;
  readonly packages: PackagesReport;
  readonly files: FilesReport;
  readonly sizes: SizesReport;
  readonly fetch: FetchReport;
  /** What could not be looked into, and why. */
  readonly notes: readonly Note[];
}

export interface Note {
  /** Cause code. */
  readonly code: string;
  readonly message: string;
}

export interface SideReport {
  readonly source: string;
  readonly kind: "image" | "directory" | "dump" | "erofs";
  readonly manifestDigest?: string;
  /** Of the boot tree; of the tree as it is where the source is a dumpfile; of the file where it is a composefs image. */
  readonly digest: { readonly format: string; readonly hex: string } | null;
  readonly os: { readonly id: string; readonly versionId?: string; readonly name: string } | null;
  readonly kernel: { readonly version: string; readonly unified: boolean } | null;
  /** Names in the tree, without the root. */
  readonly entries: number;
  /** Bytes of regular files; one with several names counts once. */
  readonly size: number;
}

export type Change = "added" | "removed" | "changed";

export interface PrivilegeChange {
  readonly path: string;
  readonly change: Change;
  readonly before?: Privileges;
  readonly after?: Privileges;
  /** The program itself is another one. */
  readonly contentChanged: boolean;
}

export interface Privileges {
  readonly setuid: boolean;
  readonly setgid: boolean;
  /** Octal, four digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly capabilities?: Capabilities;
}

export interface UnitChange {
  readonly unit: string;
  readonly scope: "system" | "user";
  readonly kind: "unit" | "drop-in" | "enablement" | "alias" | "mask" | "preset";
  readonly change: Change;
  readonly path: string;
  /** Of an enablement, the unit that pulls it in and how: `multi-user.target.wants`. */
  readonly by?: string;
  /** Of an alias, what it stands for. */
  readonly target?: string;
}

export interface ListChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export interface UkiChange {
  readonly change: Change;
  /** In the image that has it; in B where both have it. */
  readonly path: string;
  /** Where the path in A was another. */
  readonly pathBefore?: string;
  /** Kernel arguments of an addon, where they differ. Those of the UKI that boots are in `kernelArguments`. */
  readonly commandLine?: ListChange;
  readonly sections: readonly SectionChange[];
}

export interface SectionChange {
  /** With the number of the profile before it where it belongs to one: `1/.cmdline`. */
  readonly name: string;
  readonly change: Change;
  readonly before?: Stored;
  readonly after?: Stored;
}

export interface Stored {
  readonly size: number;
  readonly sha256: string;
}

export interface InitramfsReport {
  readonly before: InitramfsFacts | null;
  readonly after: InitramfsFacts | null;
  /** Files inside, by path; empty where one of both could not be opened wholly. */
  readonly members: readonly MemberChange[];
}

export interface InitramfsFacts {
  /** The file it is, or the UKI it is in. */
  readonly path: string;
  readonly size: number;
  /** The archives it is made of. `entries` is null where the compression cannot be opened. */
  readonly archives: readonly {
    readonly compression: string;
    readonly size: number;
    readonly entries: number | null;
  }[];
}

export interface MemberChange {
  readonly path: string;
  readonly change: Change;
  /** Of the content; of a link, of its target. */
  readonly sizeBefore?: number;
  readonly sizeAfter?: number;
  /** What differs where both have it. */
  readonly aspects: readonly ("type" | "content" | "mode" | "owner")[];
}

export interface PackagesReport {
  /** Null where the databases are the same, or there is none. */
  readonly counts: { readonly before: number; readonly after: number } | null;
  readonly changes: readonly PackageChange[];
}

export interface PackageChange {
  readonly manager: "dpkg" | "rpm";
  readonly name: string;
  readonly architecture: string;
  readonly change: "added" | "removed" | "upgraded" | "downgraded" | "changed";
  readonly before?: string;
  readonly after?: string;
  /** Bytes by the packages' own account. */
  readonly sizeBefore?: number;
  readonly sizeAfter?: number;
}

export interface FilesReport {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** Entries of which only the time differs; they are among `changes` only when times were asked for. */
  readonly timesOnly: number;
  /** How many of the changed ones differ in what. */
  readonly aspects: Readonly<Partial<Record<Aspect, number>>>;
  readonly changes: readonly FileChange[];
}

export interface FileChange {
  readonly path: string;
  readonly change: Change;
  readonly aspects: readonly Aspect[];
  readonly before?: EntryFacts;
  readonly after?: EntryFacts;
}

/** An entry as a change shows it. */
export interface EntryFacts {
  readonly kind: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, with nine digits behind the point. */
  readonly mtime: string;
  readonly size?: number;
  /** fs-verity digest, in hex; where the content is stored in the composefs image itself, of those bytes. */
  readonly object?: string;
  readonly target?: string;
  readonly device?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
  /** All names, where there are several. */
  readonly names?: readonly string[];
}

export interface SizesReport {
  readonly before: number;
  readonly after: number;
  /** Directories with another size, parents first; without the root. */
  readonly directories: readonly DirectorySize[];
}

export interface FetchReport {
  /** Null unless both are images. */
  readonly layers:
    | (Transfer & {
        readonly list: readonly {
          readonly digest: string;
          readonly size: number;
          readonly reused: boolean;
          readonly createdBy?: string;
        }[];
      })
    | null;
  /** Contents that are not stored in the composefs image itself. */
  readonly objects: Transfer;
}

export interface Transfer {
  readonly total: Amount;
  readonly reused: Amount;
  readonly fetched: Amount;
  /** Share of the bytes, 0 to 100. */
  readonly reusedPercent: number;
}

export interface Amount {
  readonly count: number;
  readonly size: number;
}
