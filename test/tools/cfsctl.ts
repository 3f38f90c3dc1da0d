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

/** An image in a composefs repository. */
export interface PulledImage extends Disposable {
  /** The digest of its tree, lower-case hex. */
  digest(version: (typeof VERSIONS)[number], mode: TreeMode): string;
  dump(mode: TreeMode): Buffer;
}

/**
 * Pulls an image into a repository of its own.
 *
 * @throws {CfsctlError} when cfsctl refuses it
 */
export function pullImage(layout: string, tag: string, hash: Hash): PulledImage {
  const work = mkdtempSync(join(tmpdir(), "cfsctl-"));
  const repo = ["--hash", hash, "--repo", work];
  const dispose = (): void => rmSync(work, { recursive: true, force: true });
  try {
    cfsctl([...repo, "init", "--insecure", "--algorithm", `fsverity-${hash}-12`]);
    cfsctl([...repo, "oci", "pull", `oci:${layout}:${tag}`, "image"]);
  } catch (error) {
    dispose();
    throw error;
  }
  return {
    digest(version, mode) {
      const flags = ["--erofs-version", String(version), "oci", "compute-id", ...MODE_FLAGS[mode], "image"];
      return cfsctl([...repo, ...flags])
        .toString()
        .trim();
    },
    dump: (mode) => cfsctl([...repo, "oci", "dump", ...MODE_FLAGS[mode], "image"]),
    [Symbol.dispose]: dispose,
  };
}
