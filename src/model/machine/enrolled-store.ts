import {
  EFI_CUSTOM_MODE_ENABLE,
  EFI_SECURE_BOOT_ENABLE_DISABLE,
  EFI_VARIABLE,
  encodeEfiTime,
  KEY_DATABASES,
  SECURE_BOOT_ATTRIBUTES,
} from "../../formats/efivars/index.ts";
import {
  certificateList,
  encodeSignatureLists,
  imageHashList,
  parseSignatureLists,
  type SignatureList,
} from "../../formats/esl/index.ts";
import {
  parseVariableStore,
  type StoredVariable,
  updateVariableStore,
  type VariableValue,
} from "../../formats/varstore/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { type Guid, parseGuid } from "../../lib/bytes/guid.ts";
import { equalBytes, fromHex, toHex } from "../../lib/bytes/numbers.ts";
import type { BootKeys } from "./boot-keys.ts";

export interface EnrolOptions {
  /** Default true; false enrols the keys and leaves Secure Boot switched off. */
  readonly secureBoot?: boolean;
  /** Certificates that db allows besides the one of `keys`, each with its owner. */
  readonly alsoAllow?: readonly AllowedCertificate[];
}

export interface AllowedCertificate {
  readonly owner: Guid;
  readonly certificate: Certificate;
}

/** The dbx of a store that has none: the hash of no bytes forbids nothing, and firmware measures a dbx. */
const NOTHING_FORBIDDEN = imageHashList(parseGuid("a0baa8a3-041d-48a8-bc87-c36d121b5e3d"), [
  fromHex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "SHA-256 of no bytes", "never"),
]);
const NOTHING_FORBIDDEN_TIME = new Date("2010-01-01T00:00:00Z");

/**
 * Puts PK, KEK and db into a variable store in place of what it had, and switches Secure Boot on. A dbx stays, with what
 * the keys' owner revoked behind it.
 *
 * On a store as packaged this gives the bytes of `virt-fw-vars --set-pk … --add-kek … --add-db … --secure-boot`.
 *
 * @param store a flash image, raw; it is not changed
 * @throws {FormatError} `varstore.…`
 * @throws {UsageError} `varstore.full`
 */
export function enrolIntoStore(store: Uint8Array, keys: BootKeys, options: EnrolOptions = {}): Uint8Array {
  const { secureBoot = true, alsoAllow = [] } = options;
  const own = (certificate: Certificate): AllowedCertificate => ({ owner: keys.owner, certificate });
  const values = [
    certificates("PK", [own(keys.PK)]),
    certificates("KEK", [keys.KEK, ...(keys.old?.KEK ? [keys.old.KEK] : [])].map(own)),
    certificates("db", [...[keys.db, ...(keys.old?.db ? [keys.old.db] : [])].map(own), ...alsoAllow]),
    flag("SecureBootEnable", EFI_SECURE_BOOT_ENABLE_DISABLE, secureBoot),
    // Custom mode would let anything on the machine write the key databases.
    flag("CustomMode", EFI_CUSTOM_MODE_ENABLE, false),
  ];
  const dbx = parseVariableStore(store).variables.find(
    ({ name, vendor }) => name === "dbx" && equalBytes(vendor, KEY_DATABASES.dbx.vendor),
  );
  if (keys.dbx !== undefined) return updateVariableStore(store, [...values, forbidding(keys.dbx, dbx)]);
  return updateVariableStore(store, dbx === undefined ? [...values, forbidding([NOTHING_FORBIDDEN])] : values);
}

function certificates(name: "PK" | "KEK" | "db", entries: readonly AllowedCertificate[]): VariableValue {
  const newest = Math.max(...entries.map(({ certificate }) => certificate.notBefore.getTime()));
  return {
    name,
    vendor: KEY_DATABASES[name].vendor,
    attributes: SECURE_BOOT_ATTRIBUTES,
    time: encodeEfiTime(new Date(newest)),
    data: encodeSignatureLists(entries.map(({ owner, certificate }) => certificateList(owner, certificate.der))),
  };
}

/** @param before stays in front, and what it has is not added again, as when firmware appends */
function forbidding(lists: readonly SignatureList[], before?: StoredVariable): VariableValue {
  const { name, vendor } = KEY_DATABASES.dbx;
  const time = before?.time ?? encodeEfiTime(NOTHING_FORBIDDEN_TIME);
  const known = new Set(
    parseSignatureLists(before?.data ?? new Uint8Array(), "dbx").flatMap(({ signatures }) =>
      signatures.map(({ data }) => toHex(data)),
    ),
  );
  const added = lists
    .map((list) => ({ ...list, signatures: list.signatures.filter(({ data }) => !known.has(toHex(data))) }))
    .filter(({ signatures }) => signatures.length > 0);
  const data = Buffer.concat([before?.data ?? new Uint8Array(), encodeSignatureLists(added)]);
  return { name, vendor, attributes: SECURE_BOOT_ATTRIBUTES, time, data };
}

function flag(name: string, vendor: Guid, value: boolean): VariableValue {
  const attributes = EFI_VARIABLE.NON_VOLATILE | EFI_VARIABLE.BOOTSERVICE_ACCESS;
  return { name, vendor, attributes, data: Uint8Array.of(value ? 1 : 0) };
}
