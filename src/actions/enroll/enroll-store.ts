import { stat } from "node:fs/promises";
import { NotFoundError } from "../../lib/errors.ts";
import { exists } from "../../model/host-io/files.ts";
import { loadBootKeys } from "../../model/machine/boot-keys.ts";
import { enrolIntoStore, microsoftCertificates } from "../../model/machine/enrolled-store.ts";
import { loadStoreFile, type StoreContainer, storeStoreFile } from "../../model/machine/store-file.ts";

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
  readonly signal?: AbortSignal;
}

export interface EnrolledStore {
  readonly path: string;
  readonly container: StoreContainer;
  readonly secureBoot: boolean;
  /** Subjects of the certificates in db. */
  readonly db: readonly string[];
}

/** Stores of distributions that have Microsoft's certificates in db. */
const STORES_WITH_MICROSOFT = [
  "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
  "/usr/share/OVMF/OVMF_VARS.ms.fd",
  "/usr/share/AAVMF/AAVMF_VARS.ms.fd",
  "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd",
];

/**
 * Enrols keys into the variable store of a virtual machine, without booting it.
 *
 * @throws {NotFoundError} `enrol.no-microsoft-certificates`; `input.not-found`
 * @throws {FormatError} `varstore.…`, `qcow2.…`, `x509.…`
 * @throws {InputOutputError} `output.…`
 */
export async function enrolStore(options: EnrolStoreOptions): Promise<EnrolledStore> {
  const { store, output = store, secureBoot = true, microsoft = false, signal } = options;
  const keys = await loadBootKeys(options.keys);
  const alsoAllow = microsoft ? await findMicrosoftCertificates() : [];
  const { container, bytes } = await loadStoreFile(store);
  const enrolled = enrolIntoStore(bytes, keys, { secureBoot, alsoAllow });
  const { mode } = await stat(store);
  await storeStoreFile(
    output,
    { container, bytes: enrolled },
    { overwrite: output === store, mode: mode & 0o777, ...(signal === undefined ? {} : { signal }) },
  );
  const db = [keys.db, ...alsoAllow.map(({ certificate }) => certificate)].map(({ subject }) => subject);
  return { path: output, container, secureBoot, db };
}

async function findMicrosoftCertificates(): Promise<ReturnType<typeof microsoftCertificates>> {
  for (const path of STORES_WITH_MICROSOFT) {
    if (!(await exists(path))) continue;
    const found = microsoftCertificates((await loadStoreFile(path)).bytes);
    if (found.length > 0) return found;
  }
  throw new NotFoundError(
    "enrol.no-microsoft-certificates",
    `no variable store with Microsoft's certificates is installed (${STORES_WITH_MICROSOFT[0]})`,
    { hint: "install the package ovmf" },
  );
}
