import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Files that contain third-party programs (stubs, boot loaders, firmware) are not part of the project: tests read
 * them from a directory beside it, or from Debian packages.
 */
const shared = process.env["SEALWRIGHT_FIXTURES"] ?? fileURLToPath(new URL("../../shared/fixtures", import.meta.url));

export function sharedFixture(path: string): string {
  const full = `${shared}/${path}`;
  if (!existsSync(full)) {
    throw new Error(`${full} is absent: set SEALWRIGHT_FIXTURES to a directory that has ${path}`);
  }
  return full;
}

/** Data of ours and data copied from the fixtures: `test/vectors`. */
export function vector(path: string): string {
  return fileURLToPath(new URL(`vectors/${path}`, import.meta.url));
}
