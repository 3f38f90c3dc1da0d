import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** A package of a Debian release that may not be the machine's: unpacked beside the project, never installed. */
export interface DebianFile {
  /** Below `debian/` of a mirror. */
  readonly path: string;
  /** Names the file on snapshot.debian.org, which keeps it when mirrors have moved on. */
  readonly sha1: string;
  readonly sha256: string;
}

const cache = fileURLToPath(new URL("../../.cache/debian", import.meta.url));

/** @returns the directory that holds the package's files */
export async function unpackDebianFile(file: DebianFile): Promise<string> {
  const directory = `${cache}/${file.path
    .split("/")
    .at(-1)
    ?.replace(/\.deb$/, "")}`;
  if (existsSync(directory)) return directory;
  await mkdir(cache, { recursive: true });
  // Two test files may need the same package at once: each unpacks its own, and the first rename wins.
  const own = `${directory}.${process.pid}`;
  await writeFile(`${own}.deb`, await download(file));
  try {
    execFileSync("dpkg-deb", ["-x", `${own}.deb`, own]);
    await rename(own, directory).catch((error: unknown) => {
      if (!existsSync(directory)) throw error;
    });
  } finally {
    await rm(`${own}.deb`, { force: true });
    await rm(own, { recursive: true, force: true });
  }
  return directory;
}

async function download({ path, sha1, sha256 }: DebianFile): Promise<Uint8Array> {
  const sources = [`https://deb.debian.org/debian/${path}`, `https://snapshot.debian.org/file/${sha1}`];
  const failures: string[] = [];
  for (const source of sources) {
    try {
      const bytes = await get(source);
      const found = createHash("sha256").update(bytes).digest("hex");
      if (found === sha256) return bytes;
      failures.push(`${source}: SHA-256 ${found}, expected ${sha256}`);
    } catch (error) {
      failures.push(`${source}: ${String(error)}`);
    }
  }
  throw new Error(`cannot get ${path}:\n${failures.join("\n")}`);
}

async function get(source: string): Promise<Uint8Array> {
  const response = await fetch(source, { signal: AbortSignal.timeout(60_000) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
