import { basename } from "node:path";
import { parseUki } from "../../formats/uki/index.ts";
import { FormatError } from "../../lib/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";

/** Safety limit: an addon is a few KiB, or a device tree. */
const MAX_ADDON_SIZE = 64 << 20;

export interface Addons {
  /** Of the image. */
  readonly names: readonly string[];
  /** From elsewhere, by file name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const isFile = (name: string): boolean => name.endsWith(".addon.efi");

/**
 * @param given names of addons in the image, or files that end in `.addon.efi`
 * @throws {FormatError} `disk.addon-kind` for a file that is no addon
 */
export async function loadAddons(given: readonly string[]): Promise<Addons> {
  const files = new Map<string, Uint8Array>();
  for (const path of given.filter(isFile)) {
    const bytes = await loadFile(path, "UKI addon", MAX_ADDON_SIZE, "disk.addon-too-large");
    const { kind } = parseUki(bytes);
    if (kind !== "addon") {
      throw new FormatError("disk.addon-kind", { what: path, expected: "an addon", found: `a ${kind}` });
    }
    files.set(basename(path), bytes);
  }
  return { names: given.filter((name) => !isFile(name)), files };
}
