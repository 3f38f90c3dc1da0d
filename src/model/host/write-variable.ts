import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { attributesOf, type VariableName } from "../../formats/efivars/index.ts";
import { InputOutputError } from "../../lib/errors.ts";
import { runCommand } from "../host-io/command.ts";
import { errnoOf } from "../host-io/errors.ts";
import { efiVariablePath } from "./efi-variables.ts";

/** What the kernel makes of the answers of firmware (Linux drivers/firmware/efi/efi.c, efi_status_to_err). */
const ANSWERS: Readonly<Record<string, string>> = {
  EACCES: "firmware does not accept the signature, or its time is not later than that of the variable",
  EINVAL: "firmware takes it for malformed",
  EROFS: "firmware keeps the variable from being written",
  ENOSPC: "firmware has no room left",
  EPERM: "it may not be changed from here: root alone can",
};

/**
 * Writes a variable of the firmware: attributes and a signed update, in one call, as efivarfs demands.
 *
 * @param auth the content of an `.auth` file
 * @param append adds to what is there
 * @throws {InputOutputError} `host.efi-variable.refused` with the answer of the firmware
 * @see Linux Documentation/filesystems/efivarfs.rst
 */
export async function writeEfiVariable(
  root: string,
  variable: VariableName,
  auth: Uint8Array,
  { append = false }: { readonly append?: boolean } = {},
): Promise<void> {
  const path = join(root, efiVariablePath(variable));
  const attributes = Buffer.alloc(4);
  attributes.writeUInt32LE(attributesOf({ ...variable, append, time: new Date(0), payload: auth }));
  const content = Buffer.concat([attributes, auth]);
  try {
    await writeOnce(path, content).catch(async (error: unknown) => {
      if (errnoOf(error) !== "EPERM") throw error;
      // The kernel protects most variables with this flag; Node has no call for it.
      await runCommand(["chattr", "-i", path]);
      await writeOnce(path, content);
    });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    throw new InputOutputError("host.efi-variable.refused", `variable ${variable.name}: ${ANSWERS[errno] ?? errno}`, {
      cause: error,
      data: { variable: variable.name, errno },
    });
  }
}

/** Nothing is truncated first: to efivarfs a write is the whole new value, and an empty one would delete the variable. */
async function writeOnce(path: string, content: Uint8Array): Promise<void> {
  await using handle = await open(path, constants.O_WRONLY | constants.O_CREAT, 0o644);
  const { bytesWritten } = await handle.write(content, 0, content.length);
  if (bytesWritten !== content.length) throw new RangeError(`${bytesWritten} of ${content.length} bytes were written`);
}
