/**
 * UEFI variables: names, attributes, and the signed form in which PK, KEK, db and dbx are written.
 *
 *     .auth:   0          16         20       22        24              40
 *              +----------+----------+--------+---------+---------------+-------------+-----------+
 *              | EFI_TIME | dwLength | 0x0200 | 0x0ef1  | PKCS #7 GUID  | SignedData  | new value |
 *              +----------+----------+--------+---------+---------------+-------------+-----------+
 *     signed:  name in UTF-16LE, vendor GUID, attributes, EFI_TIME, new value
 *
 * Follows UEFI 2.10 §8.2.2 and §32. Writes the bytes that efitools writes. Not supported: counter-based
 * authentication (deprecated), nonces (EFI_VARIABLE_AUTHENTICATION_3).
 */
export {
  type AuthenticatedVariable,
  attributesOf,
  encodeAuthenticatedVariable,
  encodeSignedPart,
  parseAuthenticatedVariable,
  signVariable,
  type VariableEvidence,
  type VariableUpdate,
  verifyVariable,
} from "./auth.ts";
export {
  EFI_CUSTOM_MODE_ENABLE,
  EFI_GLOBAL_VARIABLE,
  EFI_IMAGE_SECURITY_DATABASE_GUID,
  EFI_SECURE_BOOT_ENABLE_DISABLE,
  EFI_VARIABLE,
  KEY_DATABASES,
  LOADER_GUID,
  SECURE_BOOT_ATTRIBUTES,
  SHIM_LOCK_GUID,
  type VariableName,
} from "./layout.ts";
export { encodeEfiTime, parseEfiTime } from "./time.ts";
