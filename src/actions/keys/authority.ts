/** Who may change the keys of a directory, and whether its files can be trusted to go on from. */
import { join } from "node:path";
import { parseGuid } from "../../lib/bytes/guid.ts";
import { NotFoundError, quote, VerificationError } from "../../lib/errors.ts";
import { exists } from "../../model/host-io/files.ts";
import { openSigner, type Signer, type SignerOptions } from "../../model/signing/index.ts";
import { loadOptional, OWNER_FILE } from "./key-directory.ts";
import { showKeys } from "./show-keys.ts";

/** Where the private keys are that sign updates. Default: in the directory. */
export interface KeyAuthorities {
  readonly PK?: string | undefined;
  readonly KEK?: string | undefined;
}

export interface AuthorityOptions {
  readonly authorities?: KeyAuthorities;
  /** How keys are reached. */
  readonly signing: Omit<SignerOptions, "certificatePath">;
}

/** The key that signs updates: in the directory, or where it is said to be. */
export async function openAuthority(
  directory: string,
  which: "PK" | "KEK",
  { authorities = {}, signing }: AuthorityOptions,
): Promise<Signer> {
  const certificatePath = join(directory, `${which}.crt`);
  const reference = authorities[which] ?? join(directory, `${which}.key`);
  if (authorities[which] === undefined && !(await exists(reference))) {
    throw new NotFoundError(
      "keys.authority-missing",
      `${which}.key is not in ${quote(directory)}, and it has to sign`,
      {
        hint: `name where it is: --${which.toLowerCase()}-key`,
      },
    );
  }
  return await openSigner(reference, { ...signing, certificatePath });
}

/** @throws {VerificationError} `keys.unsound` */
export async function requireSound(directory: string): Promise<void> {
  const { problems } = await showKeys(directory);
  const [first, ...others] = problems;
  if (first === undefined) return;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  throw new VerificationError("keys.unsound", `${first.file}: ${first.message}${more}`, {
    data: { directory, problems },
    hint: `sealwright keys show ${directory}`,
  });
}

/** @throws {NotFoundError} `keys.owner-missing` */
export async function loadOwner(directory: string): Promise<Uint8Array> {
  const text = await loadOptional(directory, OWNER_FILE);
  if (text !== undefined) return parseGuid(Buffer.from(text).toString("latin1").trim());
  throw new NotFoundError("keys.owner-missing", `${OWNER_FILE}: absent, expected the owner of the signatures`);
}
