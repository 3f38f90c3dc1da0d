/**
 * PKCS #11 URIs: the names of tokens, and of the keys and certificates in them.
 *
 *     pkcs11:token=prod;object=db;type=private?module-path=/usr/lib/…so&pin-source=file:/etc/pin
 *            |________________ path _________| |____________________ query ____________________|
 *             what it is; all must match         how to get there
 *
 * Follows RFC 7512. Path attributes that are not known are refused, since what they would narrow down would not be
 * narrowed; query attributes that are not known are skipped, as the RFC has it for those of vendors.
 */
export { encodePkcs11Uri } from "./encode.ts";
export { OBJECT_TYPES, type ObjectType, type Pkcs11Uri } from "./layout.ts";
export { parsePkcs11Uri } from "./parse.ts";
