import { access } from "node:fs/promises";
import { join } from "node:path";
import { KEY_DATABASES, LOADER_GUID, type VariableName } from "../../formats/efivars/index.ts";
import { parseSignatureLists, type SignatureList } from "../../formats/esl/index.ts";
import { showGuid } from "../../lib/bytes/guid.ts";
import { FormatError } from "../../lib/errors.ts";
import { loadHostFile } from "./host-file.ts";

export interface EfiVariable {
  readonly attributes: number;
  readonly data: Uint8Array;
}

/** Where efivarfs is mounted. */
const EFIVARS = "sys/firmware/efi/efivars";

/** Safety limit: dbx has some 20 KiB, and variable stores a few hundred. */
const MAX_SIZE = 1 << 20;

/** Whether the machine was started by UEFI firmware and shows its variables. */
export async function hasEfiVariables(root: string): Promise<boolean> {
  return await access(join(root, EFIVARS)).then(
    () => true,
    () => false,
  );
}

/** Path of a variable below the root of a host. */
export const efiVariablePath = ({ name, vendor }: VariableName): string => `${EFIVARS}/${name}-${showGuid(vendor)}`;

/**
 * Reads a variable of the firmware.
 *
 * @returns `undefined` when it is not set
 * @throws {FormatError} `host.efi-variable`, `host.file-too-large`
 * @see Linux Documentation/filesystems/efivarfs.rst: attributes in four bytes, then the value
 */
export async function loadEfiVariable(root: string, variable: VariableName): Promise<EfiVariable | undefined> {
  const path = efiVariablePath(variable);
  const bytes = await loadHostFile(root, path, MAX_SIZE);
  if (bytes === undefined) return undefined;
  if (bytes.length < 4) {
    const found = `${bytes.length} bytes`;
    throw new FormatError("host.efi-variable", { what: `/${path}`, expected: "attributes and a value", found });
  }
  return { attributes: Buffer.from(bytes).readUInt32LE(0), data: bytes.subarray(4) };
}

export type KeyDatabaseName = keyof typeof KEY_DATABASES;

/**
 * The signature lists in PK, KEK, db or dbx.
 *
 * @returns `undefined` when the variable is not set
 * @throws {FormatError} `esl.…`; as `loadEfiVariable`
 */
export async function loadKeyDatabase(root: string, name: KeyDatabaseName): Promise<SignatureList[] | undefined> {
  const variable = await loadEfiVariable(root, KEY_DATABASES[name]);
  return variable && parseSignatureLists(variable.data, `variable ${name} of the firmware`);
}

/** What systemd-boot and systemd-stub say of themselves: `LoaderEntrySelected`, `StubInfo`. UTF-16, closed by a NUL. */
export async function loadLoaderText(root: string, name: string): Promise<string | undefined> {
  const variable = await loadEfiVariable(root, { name, vendor: LOADER_GUID });
  return variable && Buffer.from(variable.data).toString("utf16le").replace(/\0.*$/s, "");
}
