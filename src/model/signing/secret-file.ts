/** Files with keys, passphrases, PINs and tokens: small, and nobody's but their owner's. */
import { FormatError, PolicyError, quote } from "../../lib/errors.ts";
import { openInputFile, readExactly } from "../host-io/files.ts";

/** Safety limit: an RSA-8192 key is 7 KiB of PEM. */
export const MAX_KEY_FILE_SIZE = 64 * 1024;

export interface SecretFileOptions {
  /** Read it although others than its owner can read or write it. */
  readonly allowLooseKeyPermissions?: boolean | undefined;
}

/**
 * Reads a file with a secret. Looks at the permissions of the file that it reads, not of the name: nobody can swap it
 * in between.
 *
 * @param kind of file, for messages
 * @throws {PolicyError} `signer.key-permissions`
 * @throws {FormatError} `signer.file-too-large`, `input.not-a-file`
 * @throws {NotFoundError} `input.not-found`
 */
export async function loadSecretFile(path: string, kind: string, options: SecretFileOptions): Promise<Buffer> {
  const what = `${kind} ${quote(path)}`;
  await using handle = await openInputFile(path, kind);
  const { mode } = await handle.stat();
  if ((mode & 0o077) !== 0 && options.allowLooseKeyPermissions !== true) {
    const shown = (mode & 0o777).toString(8).padStart(4, "0");
    throw new PolicyError("signer.key-permissions", `${what}: mode is ${shown}, so others than its owner can use it`, {
      hint: `chmod 600 ${path}`,
      data: { path, mode: shown },
    });
  }
  if (handle.byteSize > MAX_KEY_FILE_SIZE) {
    const found = `${handle.byteSize}`;
    throw new FormatError("signer.file-too-large", { what, expected: `at most ${MAX_KEY_FILE_SIZE} bytes`, found });
  }
  return await readExactly(handle, path, 0, handle.byteSize, what);
}

/**
 * Reads the first line of a file with a secret, as `openssl -passin file:` does.
 *
 * @throws {FormatError} `signer.secret-empty`; as `loadSecretFile`
 */
export async function loadSecretLine(path: string, kind: string, options: SecretFileOptions): Promise<string> {
  const bytes = await loadSecretFile(path, kind, options);
  try {
    const [line = ""] = bytes.toString("utf8").split(/\r?\n/, 1);
    if (line !== "") return line;
    throw new FormatError("signer.secret-empty", {
      what: `${kind} ${quote(path)}`,
      expected: "the secret in the first line",
      found: "an empty line",
    });
  } finally {
    bytes.fill(0);
  }
}
