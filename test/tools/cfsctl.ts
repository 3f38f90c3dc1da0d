import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const HASHES = ["sha256", "sha512"] as const;
export type Hash = (typeof HASHES)[number];
export const VERSIONS = [0, 1, 2] as const;

/** What `cfsctl --version` says, or nothing when there is none on PATH. */
export function cfsctlVersion(): string | undefined {
  const { error, stdout } = spawnSync("cfsctl", ["--version"], { encoding: "utf8" });
  return error === undefined ? stdout.trim() : undefined;
}

export class CfsctlError extends Error {}

/** Runs cfsctl. */
export function cfsctl(args: readonly string[], input?: Uint8Array): Buffer {
  const { error, status, signal, stdout, stderr } = spawnSync("cfsctl", args, {
    maxBuffer: 1 << 30,
    ...(input === undefined ? {} : { input }),
  });
  if (error !== undefined) throw error;
  if (status === 0) return stdout;
  throw new CfsctlError(`cfsctl ${args.join(" ")}: status ${status ?? signal}\n${stderr.toString()}`);
}

export type TreeMode = "plain" | "boot" | "keep-user-xattrs";

const MODE_FLAGS: Readonly<Record<TreeMode, readonly string[]>> = {
  plain: [],
  boot: ["--bootable"],
  "keep-user-xattrs": ["--xattrs", "keep-user-xattrs"],
};

/** The digest of a tree, lower-case hex, and its dump. */
export interface Answers {
  digest(version: (typeof VERSIONS)[number], mode: TreeMode): string;
  dump(mode: TreeMode): string;
}

export interface Repository extends Disposable {
  /** @throws {CfsctlError} when cfsctl refuses the image, here or when asked about it */
  pull(layout: string, tag: string): Answers;
}

/** A composefs repository of its own, gone when disposed. */
export function openRepository(hash: Hash): Repository {
  const work = mkdtempSync(join(tmpdir(), "cfsctl-"));
  const repo = ["--hash", hash, "--repo", work];
  cfsctl([...repo, "init", "--insecure", "--algorithm", `fsverity-${hash}-12`]);
  return {
    pull(layout, tag) {
      cfsctl([...repo, "oci", "pull", `oci:${layout}:${tag}`, tag]);
      return {
        digest: (version, mode) =>
          cfsctl([...repo, "--erofs-version", String(version), "oci", "compute-id", ...MODE_FLAGS[mode], tag])
            .toString()
            .trim(),
        dump: (mode) => cfsctl([...repo, "oci", "dump", ...MODE_FLAGS[mode], tag]).toString("latin1"),
      };
    },
    [Symbol.dispose]: () => rmSync(work, { recursive: true, force: true }),
  };
}

/** A directory read as the root of an image. */
export function ofDirectory(root: string, hash: Hash, mode: TreeMode): { dump: string; digests: string[] } {
  const run = (...args: string[]): Buffer => cfsctl(["--no-repo", "--hash", hash, ...args, ...MODE_FLAGS[mode], root]);
  return {
    dump: run("create-dumpfile").toString("latin1"),
    digests: VERSIONS.map((version) => run("--erofs-version", String(version), "compute-id").toString().trim()),
  };
}
