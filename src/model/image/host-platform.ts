import type { Platform } from "../../formats/oci/platform.ts";

/** Names of Node for CPUs, where GOARCH has others. */
const GOARCH: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le", mipsel: "mipsle" };

/** Images are for Linux, also when a Mac reads them. */
export function hostPlatform(): Platform {
  return { os: "linux", architecture: GOARCH[process.arch] ?? process.arch };
}
