import { stat } from "node:fs/promises";
import { loadBootKeys } from "../../model/machine/boot-keys.ts";
import { enrolIntoStore } from "../../model/machine/enrolled-store.ts";
import { loadStoreFile, type StoreContainer, storeStoreFile } from "../../model/machine/store-file.ts";
import { loadMicrosoftCertificates, MICROSOFT_OWNER } from "../../model/secure-boot/index.ts";

export interface EnrolStoreOptions {
  /** OVMF_VARS or AAVMF_VARS, raw or qcow2. */
  readonly store: string;
  /** GUID.txt, PK.crt, KEK.crt, db.crt. */
  readonly keys: string;
  /** Where the result goes; without it `store` is replaced. */
  readonly output?: string | undefined;
  /** Default true. */
  readonly secureBoot?: boolean;
  /** Allow what Microsoft signs for others too. */
  readonly microsoft?: boolean;
  /** Write nothing. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface EnrolledStore {
  readonly path: string;
  readonly container: StoreContainer;
  readonly secureBoot: boolean;
  /** Subjects of the certificates in db. */
  readonly db: readonly string[];
  /** Entries of dbx that the owner of the keys adds. */
  readonly revoked: number;
}

/**
 * Enrols keys into the variable store of a virtual machine, without booting it.
 *
 * @throws {NotFoundError} `enrol.no-microsoft-certificates`; `input.not-found`
 * @throws {FormatError} `varstore.…`, `qcow2.…`, `x509.…`
 * @throws {InputOutputError} `output.…`
 */
export async function enrolStore(options: EnrolStoreOptions): Promise<EnrolledStore> {
  const { store, output = store, secureBoot = true, microsoft = false, dryRun = false, signal } = options;
  const keys = await loadBootKeys(options.keys);
  const alsoAllow = (microsoft ? await loadMicrosoftCertificates() : []).map((certificate) => ({
    owner: MICROSOFT_OWNER,
    certificate,
  }));
  const { container, bytes } = await loadStoreFile(store);
  const enrolled = enrolIntoStore(bytes, keys, { secureBoot, alsoAllow });
  const { mode } = await stat(store);
  if (!dryRun) {
    await storeStoreFile(
      output,
      { container, bytes: enrolled },
      { overwrite: output === store, mode: mode & 0o777, ...(signal === undefined ? {} : { signal }) },
    );
  }
  const db = [keys.db, ...(keys.old?.db ? [keys.old.db] : []), ...alsoAllow.map(({ certificate }) => certificate)];
  const revoked = keys.dbx?.reduce((sum, { signatures }) => sum + signatures.length, 0) ?? 0;
  return { path: output, container, secureBoot, db: db.map(({ subject }) => subject), revoked };
}
