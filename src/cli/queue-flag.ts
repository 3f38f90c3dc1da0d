/** Where the queue of the signing service is. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "./context.ts";
import { stateDirectory } from "./directories.ts";
import { textFlag } from "./flags.ts";

export const queueFlag = textFlag(
  "PLACE",
  "Queue: an SQLite file, or postgres://… (or: SEALWRIGHT_QUEUE; default: signer/queue.db in the state directory)",
);

/** A connection string may hold a password, which has no place on a command line. */
export async function queuePlace({ env }: Context, given: string | undefined): Promise<string> {
  const named = given ?? env["SEALWRIGHT_QUEUE"];
  if (named !== undefined && named !== "") return named;
  const directory = join(stateDirectory(env), "signer");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return join(directory, "queue.db");
}
