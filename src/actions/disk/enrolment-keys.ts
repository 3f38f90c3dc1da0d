import { join } from "node:path";
import { exists, loadFile } from "../../model/host-io/files.ts";

/** What systemd-boot looks for in a directory of `loader/keys`; PK comes last there, and ends setup mode. */
const VARIABLES = ["db", "KEK", "PK"];
/** There when something was revoked. */
const OPTIONAL_VARIABLES = ["dbx"];

/** The directory that systemd-boot enrols by itself on virtual machines in setup mode, and offers in the menu elsewhere. */
const AUTO = "auto";

/** Safety limit: a variable with some certificates has a few KiB. */
const MAX_VARIABLE_SIZE = 1 << 20;

/**
 * Signed variables of a key directory, by path below `loader/keys`.
 *
 * @throws {NotFoundError} `input.not-found`
 */
export async function loadEnrolmentKeys(directory: string): Promise<Map<string, Uint8Array>> {
  const keys = new Map<string, Uint8Array>();
  for (const name of [...VARIABLES, ...OPTIONAL_VARIABLES]) {
    const path = join(directory, `${name}.auth`);
    if (OPTIONAL_VARIABLES.includes(name) && !(await exists(path))) continue;
    const bytes = await loadFile(path, `${name} to enrol`, MAX_VARIABLE_SIZE, "disk.variable-too-large");
    keys.set(`${AUTO}/${name}.auth`, bytes);
  }
  return keys;
}
