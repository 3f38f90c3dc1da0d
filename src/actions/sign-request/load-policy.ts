/** A policy with everything that it names, read. */
import { createHash } from "node:crypto";
import { dirname, isAbsolute, resolve } from "node:path";
import {
  type Glob,
  MAX_POLICY_SIZE,
  parseGlob,
  parseSigningPolicy,
  type SigningPolicy,
} from "../../formats/signing-policy/index.ts";
import { fingerprintOf } from "../../formats/signing-request/index.ts";
import { type PublicKey, parsePem, parsePublicKey } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";
import { isFileReference, loadCertificates } from "../../model/signing/index.ts";

export interface LoadedPolicy {
  readonly rules: SigningPolicy;
  readonly repositories: readonly Glob[];
  readonly targets: readonly Glob[] | undefined;
  /** SHA-256 of the file, lower-case hex. */
  readonly sha256: string;
  /** Fingerprints of the certificates that may be signed for. */
  readonly certificates: ReadonlySet<string>;
  /** SHA-256 of the public keys whose PCR policies may be in a UKI. */
  readonly pcrKeys: ReadonlySet<string>;
  readonly approvers: ReadonlyMap<string, PublicKey>;
  /** Approvals that are needed. */
  readonly quorum: number;
  readonly audit: AuditPlace | undefined;
}

export interface AuditPlace {
  readonly log: string;
  /** In the notation of `openSigner`. */
  readonly key: string;
  readonly certificatePath: string | undefined;
}

/** Safety limit: an RSA-16384 key is 3 KiB of PEM. */
const MAX_KEY_SIZE = 64 << 10;

/**
 * Files that a policy names are found from where it is.
 *
 * @throws {FormatError} `policy.…`, `policy.approver-key`; {NotFoundError} `input.not-found`
 */
export async function loadPolicy(path: string): Promise<LoadedPolicy> {
  const what = `policy ${quote(path)}`;
  const bytes = await loadFile(path, what, MAX_POLICY_SIZE, "policy.malformed");
  const rules = parseSigningPolicy(bytes, what);
  const place = (name: string) => (isAbsolute(name) ? name : resolve(dirname(path), name));
  const approvers = new Map<string, PublicKey>();
  for (const [name, file] of Object.entries(rules.approvals?.approvers ?? {})) {
    approvers.set(name, await loadPublicKey(place(file), `key of approver ${quote(name)}`, "policy.approver-key"));
  }
  const pcrKeys = new Set<string>();
  for (const file of rules["pcr-keys"]) {
    pcrKeys.add(
      fingerprintOf(await loadPublicKey(place(file), `key of PCR policies ${quote(file)}`, "policy.pcr-key-file")),
    );
  }
  requireDifferentKeys(approvers, what);
  const globs = (list: readonly string[]) => list.map((glob) => parseGlob(glob, what));
  return {
    rules,
    repositories: globs(rules.repositories),
    targets: rules.targets && globs(rules.targets),
    sha256: createHash("sha256").update(bytes).digest("hex"),
    certificates: await findFingerprints(rules.certificates, place),
    pcrKeys,
    approvers,
    quorum: rules.approvals?.quorum ?? 0,
    audit: rules.audit && {
      log: place(rules.audit.log),
      key: isFileReference(rules.audit.key) ? place(rules.audit.key.replace(/^file:/, "")) : rules.audit.key,
      certificatePath: rules.audit.certificate === undefined ? undefined : place(rules.audit.certificate),
    },
  };
}

const FINGERPRINT = /^sha256:(?<hex>[0-9a-f]{64})$/;

async function findFingerprints(given: readonly string[], place: (name: string) => string): Promise<Set<string>> {
  const all = new Set<string>();
  for (const one of given) {
    const hex = FINGERPRINT.exec(one)?.groups?.["hex"];
    if (hex !== undefined) all.add(hex);
    else for (const { fingerprint } of await loadCertificates([place(one)])) all.add(toHex(fingerprint));
  }
  return all;
}

async function loadPublicKey(path: string, what: string, code: string): Promise<PublicKey> {
  const bytes = await loadFile(path, what, MAX_KEY_SIZE, code);
  const [block] = parsePem(bytes, what).filter(({ label }) => label === "PUBLIC KEY");
  if (block !== undefined) return parsePublicKey(block.bytes);
  throw new FormatError(code, { what, expected: "a public key in PEM", found: "none" });
}

/** @param pem public key of PCR policies, as a request has it */
export function pcrFingerprint(pem: Uint8Array): string {
  const [block] = parsePem(pem, "public key of PCR policies");
  return createHash("sha256")
    .update(block?.bytes ?? new Uint8Array())
    .digest("hex");
}

/** One person with two names would be a quorum of two. */
function requireDifferentKeys(approvers: ReadonlyMap<string, PublicKey>, what: string): void {
  const names = new Map<string, string>();
  for (const [name, { spki }] of approvers) {
    const other = names.get(toHex(spki));
    if (other !== undefined) {
      const found = `the same for ${quote(other)} and ${quote(name)}`;
      throw new FormatError("policy.approver-key", { what: `${what}: approvers`, expected: "a key for each", found });
    }
    names.set(toHex(spki), name);
  }
}
