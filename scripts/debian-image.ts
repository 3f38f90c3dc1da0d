/**
 * The Debian image that the demonstration seals and the tests boot: built once, kept in `.cache`.
 *
 *     bash scripts/with-node.sh scripts/debian-image.ts [--refresh]
 *
 * It is built again when what it is made from changes in this checkout, or when `--refresh` finds that the archive
 * has moved on. `SOURCE_DATE_EPOCH` sets its time; by default it is as old as the newest release file it comes from.
 */
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildDebianImage, type DebianImageReport } from "../src/actions/debian-image/build.ts";
import {
  BASE_PACKAGES,
  type DebianRecipe,
  debianSources,
  HOST_FILES,
  kernelPackage,
} from "../src/actions/debian-image/recipe.ts";
import { fetchReleases } from "../src/actions/debian-image/releases.ts";
import { SealwrightError } from "../src/lib/errors.ts";
import { hostPlatform } from "../src/model/image/host-platform.ts";
import { requireDebianPackages } from "./debian-packages.ts";
import { isMain } from "./run.ts";

const SUITE = "trixie";
const CACHE = fileURLToPath(new URL("../.cache/debian-image", import.meta.url));
const STATE = `${CACHE}/state.json`;
const ACTION = fileURLToPath(new URL("../src/actions/debian-image", import.meta.url));

/** Users who are not root install into a user namespace, whose ids newuidmap (uidmap) hands out. */
export const IMAGE_TOOLS: readonly string[] =
  process.getuid?.() === 0 ? ["mmdebstrap", "gpg"] : ["mmdebstrap", "gpg", "uidmap"];

/** The reference of the image, once `requireDebianImage` has returned. */
export const DEBIAN_IMAGE = `oci:${CACHE}/oci:${SUITE}`;

interface State {
  /** Digest of everything in this checkout that the image is made from. */
  readonly recipe: string;
  /** Digests of the release files at that time. */
  readonly releases: string;
}

/** Builds the image unless it is there. */
export async function requireDebianImage({ refresh = false } = {}): Promise<string> {
  const recipe = recipeDigest();
  const state = loadState();
  if (!refresh && state?.recipe === recipe) return DEBIAN_IMAGE;
  const releases = await fetchReleases(debianSources(SUITE));
  if (state?.recipe === recipe && state.releases === releases.digest) return DEBIAN_IMAGE;
  requireDebianPackages(IMAGE_TOOLS);
  await build(Number(process.env["SOURCE_DATE_EPOCH"] ?? releases.newest));
  writeFileSync(STATE, `${JSON.stringify({ recipe, releases: releases.digest } satisfies State)}\n`);
  return DEBIAN_IMAGE;
}

async function build(sourceDateEpoch: number): Promise<void> {
  const recipe: DebianRecipe = {
    suite: SUITE,
    packages: [kernelPackage(hostPlatform().architecture), ...BASE_PACKAGES],
    sources: debianSources(SUITE),
    sourceDateEpoch,
  };
  const packageCache = `${CACHE}/packages`;
  mkdirSync(packageCache, { recursive: true });
  const [next, current] = [`${CACHE}/oci.next`, `${CACHE}/oci`];
  rmSync(next, { recursive: true, force: true });
  console.log(`== building the Debian ${SUITE} image`);
  const started = performance.now();
  const report = await buildDebianImage(recipe, { to: `oci:${next}:${SUITE}`, env: environment(), packageCache });
  showReport(report, performance.now() - started);
  rmSync(STATE, { force: true });
  rmSync(current, { recursive: true, force: true });
  renameSync(next, current);
}

function showReport({ manifestDigest, layers }: DebianImageReport, ms: number): void {
  for (const { rule, size, descriptor } of layers) {
    console.log(
      `  ${rule.name.padEnd(14)} ${megabytes(size)}, compressed ${megabytes(descriptor.size)}: ${rule.comment}`,
    );
  }
  console.log(`  ${manifestDigest} in ${(ms / 1000).toFixed(0)} s`);
}

const megabytes = (size: number): string => `${(size / 1e6).toFixed(1).padStart(6)} MB`;

function environment(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >;
}

function recipeDigest(): string {
  const files = [...globSync(`${ACTION}/*.ts`), ...globSync(`${HOST_FILES}/*/**`)];
  const hash = createHash("sha256").update(`${process.arch} ${process.env["SOURCE_DATE_EPOCH"] ?? ""}\n`);
  for (const path of files.sort()) {
    if (path.endsWith(".test.ts") || !statSync(path).isFile()) continue;
    hash.update(`${path.slice(path.lastIndexOf("/"))}\n`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

function loadState(): State | undefined {
  if (!existsSync(STATE) || !existsSync(`${CACHE}/oci/index.json`)) return undefined;
  return JSON.parse(readFileSync(STATE, "utf8")) as State;
}

if (isMain(import.meta.url)) {
  try {
    console.log(await requireDebianImage({ refresh: process.argv.includes("--refresh") }));
  } catch (error) {
    if (!(error instanceof SealwrightError)) throw error;
    console.error(error.message);
    process.exitCode = error.exitCode;
  }
}
