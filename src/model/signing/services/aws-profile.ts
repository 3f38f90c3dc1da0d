/** The files of the AWS command line: `~/.aws/config` and `~/.aws/credentials`. */
import { join } from "node:path";
import { NotFoundError } from "../../../lib/errors.ts";
import { loadFile } from "../../host-io/files.ts";
import { loadSecretFile } from "../secret-file.ts";
import type { KeyContext } from "../signing-key.ts";

/** Safety limit: a file with hundreds of profiles stays below it. */
const MAX_CONFIG_SIZE = 1 << 20;

/**
 * What both files say of the profile in use; the credentials file goes first.
 *
 * @throws {PolicyError} `signer.key-permissions` for a credentials file that others can read
 */
export async function awsProfile(context: KeyContext): Promise<Readonly<Record<string, string>>> {
  const { env = {}, home } = context;
  const name = env["AWS_PROFILE"] || "default";
  const place = (variable: string, file: string): string | undefined =>
    env[variable] || (home === undefined ? undefined : join(home, ".aws", file));
  const config = await readOptional(place("AWS_CONFIG_FILE", "config"), (path) =>
    loadFile(path, "AWS configuration", MAX_CONFIG_SIZE, "signer.file-too-large"),
  );
  const credentials = await readOptional(place("AWS_SHARED_CREDENTIALS_FILE", "credentials"), (path) =>
    loadSecretFile(path, "AWS credentials", context),
  );
  return {
    ...readSection(config, name === "default" ? "default" : `profile ${name}`),
    ...readSection(credentials, name),
  };
}

async function readOptional(path: string | undefined, load: (path: string) => Promise<Uint8Array>): Promise<string> {
  if (path === undefined) return "";
  try {
    return Buffer.from(await load(path)).toString("utf8");
  } catch (error) {
    if (error instanceof NotFoundError) return "";
    throw error;
  }
}

/** `NAME = VALUE` lines of one `[section]`; the last of a name counts. */
function readSection(text: string, wanted: string): Record<string, string> {
  const values: Record<string, string> = {};
  let section = "";
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [, name, value] = /^([a-z0-9_]+)\s*=\s*(.*?)\s*$/i.exec(line) ?? [];
    if (section === wanted && name !== undefined && value !== undefined) values[name.toLowerCase()] = value;
  }
  return values;
}
