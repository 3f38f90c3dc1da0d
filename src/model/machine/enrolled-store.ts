import {
  EFI_CUSTOM_MODE_ENABLE,
  EFI_SECURE_BOOT_ENABLE_DISABLE,
  EFI_VARIABLE,
  encodeEfiTime,
  KEY_DATABASES,
  SECURE_BOOT_ATTRIBUTES,
} from "../../formats/efivars/index.ts";
import { certificateList, encodeSignatureLists, imageHashList, parseSignatureLists } from "../../formats/esl/index.ts";
import { parseVariableStore, updateVariableStore, type VariableValue } from "../../formats/varstore/index.ts";
import { type Certificate, parseCertificate } from "../../formats/x509/index.ts";
import { type Guid, parseGuid } from "../../lib/bytes/guid.ts";
import { equalBytes, fromHex } from "../../lib/bytes/numbers.ts";
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
 * Puts PK, KEK and db into a variable store in place of what it had, and switches Secure Boot on. A dbx stays.
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
    certificates("KEK", [own(keys.KEK)]),
    certificates("db", [own(keys.db), ...alsoAllow]),
    flag("SecureBootEnable", EFI_SECURE_BOOT_ENABLE_DISABLE, secureBoot),
    // Custom mode would let anything on the machine write the key databases.
    flag("CustomMode", EFI_CUSTOM_MODE_ENABLE, false),
  ];
  const hasDbx = parseVariableStore(store).variables.some(
    ({ name, vendor }) => name === "dbx" && equalBytes(vendor, KEY_DATABASES.dbx.vendor),
  );
  return updateVariableStore(store, hasDbx ? values : [...values, emptyDbx()]);
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

function emptyDbx(): VariableValue {
  const { name, vendor } = KEY_DATABASES.dbx;
  const time = encodeEfiTime(NOTHING_FORBIDDEN_TIME);
  return { name, vendor, attributes: SECURE_BOOT_ATTRIBUTES, time, data: encodeSignatureLists([NOTHING_FORBIDDEN]) };
}

function flag(name: string, vendor: Guid, value: boolean): VariableValue {
  const attributes = EFI_VARIABLE.NON_VOLATILE | EFI_VARIABLE.BOOTSERVICE_ACCESS;
  return { name, vendor, attributes, data: Uint8Array.of(value ? 1 : 0) };
}

/** Owner of the entries that Microsoft has in db and KEK everywhere. */
const MICROSOFT = parseGuid("77fa9abd-0359-4d32-bd60-28f4e78f784b");

/**
 * Picks Microsoft's certificates for other people's programs (boot loaders, option ROMs) from the db of a store that a
 * distribution ships. Those for Windows itself are left out, and so is KEK: it would let Microsoft change db.
 */
export function microsoftCertificates(store: Uint8Array): AllowedCertificate[] {
  const db = parseVariableStore(store).variables.find(
    ({ name, vendor }) => name === "db" && equalBytes(vendor, KEY_DATABASES.db.vendor),
  );
  return parseSignatureLists(db?.data ?? new Uint8Array(), "db")
    .filter(({ typeName }) => typeName === "x509")
    .flatMap(({ signatures }) => signatures)
    .filter(({ owner }) => equalBytes(owner, MICROSOFT))
    .map(({ owner, data }) => ({ owner, certificate: parseCertificate(data, "certificate in db") }))
    .filter(({ certificate }) => !/CN=[^,]*Windows/.test(certificate.subject));
}
