/**
 * Microsoft's certificates, which most firmware comes with: known by name, and found where a distribution ships them.
 */
import { KEY_DATABASES } from "../../formats/efivars/index.ts";
import { parseSignatureLists, toSignatureDatabase } from "../../formats/esl/index.ts";
import { parseVariableStore } from "../../formats/varstore/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { type Guid, parseGuid } from "../../lib/bytes/guid.ts";
import { equalBytes, toHex } from "../../lib/bytes/numbers.ts";
import { NotFoundError } from "../../lib/errors.ts";
import { exists } from "../host-io/files.ts";
import { loadStoreFile } from "../machine/store-file.ts";

export interface KnownCertificate {
  readonly name: string;
  readonly variable: "KEK" | "db";
  readonly year: 2011 | 2023;
  /** What it signs: for Windows itself, or for other people's boot loaders and option ROMs. */
  readonly signs: "updates" | "windows" | "others";
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
}

/** As they are in Debian's packages and in Microsoft's own repository of Secure Boot objects. */
export const MICROSOFT_CERTIFICATES: readonly KnownCertificate[] = [
  {
    name: "Microsoft Corporation KEK CA 2011",
    variable: "KEK",
    year: 2011,
    signs: "updates",
    fingerprint: "a1117f516a32cefcba3f2d1ace10a87972fd6bbe8fe0d0b996e09e65d802a503",
  },
  {
    name: "Microsoft Corporation KEK 2K CA 2023",
    variable: "KEK",
    year: 2023,
    signs: "updates",
    fingerprint: "3cd3f0309edae228767a976dd40d9f4affc4fbd5218f2e8cc3c9dd97e8ac6f9d",
  },
  {
    name: "Microsoft Corporation UEFI CA 2011",
    variable: "db",
    year: 2011,
    signs: "others",
    fingerprint: "48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507",
  },
  {
    name: "Microsoft UEFI CA 2023",
    variable: "db",
    year: 2023,
    signs: "others",
    fingerprint: "f6124e34125bee3fe6d79a574eaa7b91c0e7bd9d929c1a321178efd611dad901",
  },
  {
    name: "Microsoft Option ROM UEFI CA 2023",
    variable: "db",
    year: 2023,
    signs: "others",
    fingerprint: "e5be3e64c6e66a281457ecdece0d6d0787577aad2a3a0144262c10c14ba8d8f1",
  },
  {
    name: "Microsoft Windows Production PCA 2011",
    variable: "db",
    year: 2011,
    signs: "windows",
    fingerprint: "e8e95f0733a55e8bad7be0a1413ee23c51fcea64b3c8fa6a786935fddcc71961",
  },
  {
    name: "Windows UEFI CA 2023",
    variable: "db",
    year: 2023,
    signs: "windows",
    fingerprint: "076f1fea90ac29155ebf77c17682f75f1fdd1be196da302dc8461e350a9ae330",
  },
];

/** Owner of Microsoft's entries everywhere. */
export const MICROSOFT_OWNER: Guid = parseGuid("77fa9abd-0359-4d32-bd60-28f4e78f784b");

/** The certificate of the table that this one is. */
export function findMicrosoft({ fingerprint }: Certificate): KnownCertificate | undefined {
  const hex = toHex(fingerprint);
  return MICROSOFT_CERTIFICATES.find((known) => known.fingerprint === hex);
}

/** Stores of distributions that have Microsoft's certificates in db. */
const STORES = [
  "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
  "/usr/share/OVMF/OVMF_VARS.ms.fd",
  "/usr/share/AAVMF/AAVMF_VARS.ms.fd",
  "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd",
];

/**
 * Microsoft's certificates for other people's programs, from the firmware packages that are installed here. Those for
 * Windows itself are left out, and so is KEK: it would let Microsoft change db.
 *
 * @throws {NotFoundError} `enrol.no-microsoft-certificates`
 */
export async function loadMicrosoftCertificates(stores: readonly string[] = STORES): Promise<Certificate[]> {
  const found = new Map<string, Certificate>();
  for (const path of stores) {
    if (!(await exists(path))) continue;
    for (const certificate of certificatesOfStore((await loadStoreFile(path)).bytes)) {
      if (findMicrosoft(certificate)?.signs === "others") found.set(toHex(certificate.fingerprint), certificate);
    }
  }
  if (found.size > 0) return [...found.values()];
  throw new NotFoundError(
    "enrol.no-microsoft-certificates",
    `no variable store with Microsoft's certificates is installed (${STORES[0]})`,
    { hint: "install the package ovmf" },
  );
}

function certificatesOfStore(store: Uint8Array): readonly Certificate[] {
  const { name: wanted, vendor: wantedVendor } = KEY_DATABASES.db;
  const db = parseVariableStore(store).variables.find(
    ({ name, vendor }) => name === wanted && equalBytes(vendor, wantedVendor),
  );
  return toSignatureDatabase(parseSignatureLists(db?.data ?? new Uint8Array(), "db")).certificates;
}
