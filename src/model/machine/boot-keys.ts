import { join } from "node:path";
import { parseSignatureLists, type SignatureList } from "../../formats/esl/index.ts";
import { type Certificate, parseCertificate } from "../../formats/x509/index.ts";
import { type Guid, parseGuid } from "../../lib/bytes/guid.ts";
import { exists, loadFile } from "../host-io/files.ts";

/** What is enrolled into a firmware: certificates alone, private keys stay where they are. */
export interface BootKeys {
  /** Signature owner; measured into PCR 7 with the certificates. */
  readonly owner: Guid;
  readonly PK: Certificate;
  readonly KEK: Certificate;
  readonly db: Certificate;
  /** The ones before, while a rotation has both in use. */
  readonly old?: { readonly KEK?: Certificate; readonly db?: Certificate };
  /** What was revoked. */
  readonly dbx?: readonly SignatureList[];
}

/** Certificates and GUID.txt are small, and dbx has some ten KiB. Safety limit, not a format rule. */
const MAX_FILE_SIZE = 64 * 1024;

/**
 * Reads GUID.txt, PK.crt, KEK.crt and db.crt: the directory that `keys generate` makes and bcvk takes. `KEK-old.crt`,
 * `db-old.crt` and `dbx.esl` are read where `keys rotate` and `keys revoke` have put them.
 *
 * @throws {NotFoundError} `input.not-found`
 * @throws {FormatError} `x509.…`, `esl.…`, `keys.file-too-large`
 * @throws {UsageError} `guid.malformed`
 */
export async function loadBootKeys(directory: string): Promise<BootKeys> {
  const load = (name: string): Promise<Uint8Array> =>
    loadFile(join(directory, name), name, MAX_FILE_SIZE, "keys.file-too-large");
  const certificate = async (name: string): Promise<Certificate> => parseCertificate(await load(name), name);
  const has = (name: string): Promise<boolean> => exists(join(directory, name));
  const old = {
    ...((await has("KEK-old.crt")) && { KEK: await certificate("KEK-old.crt") }),
    ...((await has("db-old.crt")) && { db: await certificate("db-old.crt") }),
  };
  return {
    owner: parseGuid(
      Buffer.from(await load("GUID.txt"))
        .toString("latin1")
        .trim(),
    ),
    PK: await certificate("PK.crt"),
    KEK: await certificate("KEK.crt"),
    db: await certificate("db.crt"),
    ...(Object.keys(old).length > 0 && { old }),
    ...((await has("dbx.esl")) && { dbx: parseSignatureLists(await load("dbx.esl"), "dbx.esl") }),
  };
}
