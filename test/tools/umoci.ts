import { execFileSync } from "node:child_process";
import { join } from "node:path";

/**
 * Unpacks an image as umoci does; as root with owners, devices and xattrs.
 *
 * @returns the directory that holds the root file system
 */
export function unpackWithUmoci(layout: string, tag: string, bundle: string): string {
  const rootless = process.getuid?.() === 0 ? [] : ["--rootless"];
  execFileSync("umoci", ["unpack", ...rootless, "--image", `${layout}:${tag}`, bundle], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  return join(bundle, "rootfs");
}
