import { type Guid, parseGuid } from "../../lib/bytes/guid.ts";

/** Attributes of a variable (UEFI 2.10 §8.2.1). */
export const EFI_VARIABLE = {
  NON_VOLATILE: 0x01,
  BOOTSERVICE_ACCESS: 0x02,
  RUNTIME_ACCESS: 0x04,
  TIME_BASED_AUTHENTICATED_WRITE_ACCESS: 0x20,
  APPEND_WRITE: 0x40,
} as const;

/** Non-volatile, boot and runtime access, time-based authentication: what PK, KEK, db and dbx are written with. */
export const SECURE_BOOT_ATTRIBUTES = 0x27;

/** UEFI 2.10 §3.3. */
export const EFI_GLOBAL_VARIABLE: Guid = parseGuid("8be4df61-93ca-11d2-aa0d-00e098032b8c");
/** UEFI 2.10 §32.4.1. */
export const EFI_IMAGE_SECURITY_DATABASE_GUID: Guid = parseGuid("d719b2cb-3d3a-4596-a3bc-dad00e67656f");
/** systemd's boot loader interface: `Loader…`, `Stub…`. */
export const LOADER_GUID: Guid = parseGuid("4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
/** edk2's own: SecureBootEnable. */
export const EFI_SECURE_BOOT_ENABLE_DISABLE: Guid = parseGuid("f0a30bc7-af08-4556-99c4-001009c93a44");
/** edk2's own: CustomMode. */
export const EFI_CUSTOM_MODE_ENABLE: Guid = parseGuid("c076ec0c-7028-4399-a072-71ee5c448b9f");
/** shim: MokList, SbatLevel. */
export const SHIM_LOCK_GUID: Guid = parseGuid("605dab50-e046-4300-abb6-3dd810dd8b23");

/** A variable by name and vendor. */
export interface VariableName {
  readonly name: string;
  readonly vendor: Guid;
}

/** The key databases, and whose key signs an update in user mode (UEFI 2.10 §32.3.5, §32.4). */
export const KEY_DATABASES = {
  PK: { name: "PK", vendor: EFI_GLOBAL_VARIABLE, signedBy: "PK" },
  KEK: { name: "KEK", vendor: EFI_GLOBAL_VARIABLE, signedBy: "PK" },
  db: { name: "db", vendor: EFI_IMAGE_SECURITY_DATABASE_GUID, signedBy: "KEK" },
  dbx: { name: "dbx", vendor: EFI_IMAGE_SECURITY_DATABASE_GUID, signedBy: "KEK" },
  dbt: { name: "dbt", vendor: EFI_IMAGE_SECURITY_DATABASE_GUID, signedBy: "KEK" },
  dbr: { name: "dbr", vendor: EFI_IMAGE_SECURITY_DATABASE_GUID, signedBy: "KEK" },
} as const satisfies Record<string, VariableName & { signedBy: "PK" | "KEK" }>;

/** EFI_TIME (UEFI 2.10 §8.3.1). */
export const EFI_TIME_SIZE = 16;

/** WIN_CERTIFICATE_UEFI_GUID up to its data: length, revision, type, GUID (UEFI 2.10 §32.2.4). */
export const WIN_CERTIFICATE_UEFI_GUID_SIZE = 24;
export const WIN_CERT_REVISION = 0x0200;
export const WIN_CERT_TYPE_EFI_GUID = 0x0ef1;
export const EFI_CERT_TYPE_PKCS7: Guid = parseGuid("4aafd29d-68df-49ee-8aa9-347d375665a7");
