import { NotFoundError } from "../../lib/errors.ts";
import { loadHostText } from "./host-file.ts";

/** COMMAND_LINE_SIZE of the kernel is 2048 on x86-64 and arm64; other architectures have 4096. */
const MAX_SIZE = 64 * 1024;

/**
 * The command line that the kernel was started with.
 *
 * @throws {NotFoundError} `host.no-proc`
 */
export async function loadCommandLine(root: string): Promise<string> {
  const text = await loadHostText(root, "proc/cmdline", MAX_SIZE);
  if (text === undefined) throw new NotFoundError("host.no-proc", "/proc/cmdline: there is no such file");
  return text.replace(/\n$/, "");
}
