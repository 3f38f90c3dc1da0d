import type { FirmwarePolicy } from "../../formats/authenticode/index.ts";
import { toSignatureDatabase } from "../../formats/esl/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { quote, VerificationError } from "../../lib/errors.ts";
import {
  hasEfiVariables,
  type KeyDatabaseName,
  loadKeyDatabase,
  loadLockdown,
  loadSecureBoot,
  type SecureBootState,
} from "../../model/host/index.ts";
import { countOf } from "../../model/verdict/describe.ts";
import type { HostVerdictBuilder } from "./verdict.ts";

/** Whether the firmware starts only what its keys allow. */
export async function verifySecureBoot(verdict: HostVerdictBuilder, root: string): Promise<void> {
  const lockdown = await loadLockdown(root);
  const state = await verdict.check(
    "secure-boot",
    async () => requireSecureBoot(await loadSecureBoot(root)),
    ({ deployedMode }) =>
      ["on, not in setup mode", ...(deployedMode === true ? ["deployed mode"] : []), ...lockdownWords(lockdown)].join(
        ", ",
      ),
  );
  if (state !== undefined && lockdown === "none") {
    const message = "the kernel's lockdown is off: root can replace the running kernel";
    verdict.warn("secure-boot", { code: "host.lockdown.off", message });
  }
}

const lockdownWords = (mode: string | undefined): string[] =>
  mode === undefined || mode === "none" ? [] : [`kernel lockdown ${mode}`];

function requireSecureBoot(state: SecureBootState): SecureBootState {
  if (!state.hasVariables) {
    throw refusal(
      "host.firmware.no-variables",
      "found no EFI variables: not started by UEFI, or efivarfs is not mounted",
    );
  }
  if (state.setupMode === true) {
    throw refusal("host.secure-boot.setup-mode", "the firmware is in setup mode: everybody may write its keys", ENROL);
  }
  if (state.secureBoot !== true) {
    throw refusal("host.secure-boot.off", "Secure Boot is off: the firmware starts what nobody signed", ENROL);
  }
  if (state.shimValidationOff) {
    throw refusal(
      "host.secure-boot.shim-off",
      "shim is told to start what nobody signed",
      "mokutil --enable-validation",
    );
  }
  return state;
}

function refusal(code: string, message: string, hint?: string): VerificationError {
  return new VerificationError(code, message, hint === undefined ? {} : { hint });
}

const ENROL = "enrol your keys and switch Secure Boot on in the firmware's setup";

/**
 * Reads the keys of the firmware, and with them says what may start.
 *
 * @param certificates what the owner trusts; without any, whatever db has
 */
export async function verifyKeys(
  verdict: HostVerdictBuilder,
  root: string,
  certificates: readonly Certificate[],
): Promise<FirmwarePolicy | undefined> {
  // Without any variable Secure Boot is refused already, for that very reason.
  const firmware = (await hasEfiVariables(root))
    ? await verdict.check("keys", () => loadPolicy(root), describeKeys)
    : undefined;
  if (certificates.length === 0) return firmware?.policy;
  if (firmware !== undefined) compare(verdict, certificates, firmware.policy.db.certificates);
  return { ...firmware?.policy, db: { certificates } };
}

interface FirmwareKeys {
  readonly policy: FirmwarePolicy;
  readonly forbidden: number;
}

async function loadPolicy(root: string): Promise<FirmwareKeys> {
  const load = async (name: KeyDatabaseName) => {
    const lists = await loadKeyDatabase(root, name);
    return lists && toSignatureDatabase(lists);
  };
  for (const name of ["PK", "KEK"] as const) {
    if ((await load(name)) === undefined) throw missing(name);
  }
  const db = await load("db");
  if (db === undefined) throw missing("db");
  const dbx = (await load("dbx")) ?? { certificates: [] };
  const parts = [dbx.certificates, dbx.imageHashes ?? [], dbx.certificateHashes ?? []];
  return { policy: { db, dbx }, forbidden: parts.reduce((sum, { length }) => sum + length, 0) };
}

function missing(name: string): VerificationError {
  return new VerificationError("host.keys.missing", `the firmware has no ${name}`, {
    hint: "sealwright keys generate makes PK, KEK and db; systemd-boot and firmware setups enrol their .auth files",
  });
}

function describeKeys({ forbidden, policy: { db } }: FirmwareKeys): string {
  const subjects = db.certificates.map(({ subject }) => quote(subject)).join(", ");
  const hashes = db.imageHashes ?? [];
  const images = hashes.length === 0 ? "" : ` and ${countOf(hashes.length, "image")}`;
  return `PK and KEK set; db allows ${subjects || "no certificate"}${images}; dbx forbids ${forbidden}`;
}

function compare(verdict: HostVerdictBuilder, wanted: readonly Certificate[], db: readonly Certificate[]): void {
  for (const certificate of wanted.filter((each) => !isIn(db, each))) {
    const message = `db does not have ${quote(certificate.subject)}`;
    verdict.warn("keys", { code: "host.keys.not-enrolled", message });
  }
  const others = db.filter((each) => !isIn(wanted, each)).map(({ subject }) => quote(subject));
  if (others.length > 0) {
    const message = `db also allows what these sign: ${others.join(", ")}`;
    verdict.warn("keys", { code: "host.keys.others", message });
  }
}

const isIn = (list: readonly Certificate[], { fingerprint }: Certificate): boolean =>
  list.some((each) => equalBytes(each.fingerprint, fingerprint));
