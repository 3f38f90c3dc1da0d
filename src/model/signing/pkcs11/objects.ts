/** Objects in a token: private keys, and what stands beside them. */
import { DerReader } from "../../../formats/der/index.ts";
import type { Pkcs11Uri } from "../../../formats/pkcs11-uri/index.ts";
import { encodeEcPublicKey, encodeRsaPublicKey, parseCertificate } from "../../../formats/x509/index.ts";
import { NotFoundError, ServiceError, UsageError } from "../../../lib/errors.ts";
import type { CryptokiConstants, Pkcs11Module } from "../../host-io/pkcs11.ts";

/** A private key in an open session. */
export interface TokenKey {
  readonly handle: Buffer;
  readonly id: Buffer | undefined;
  readonly label: string | undefined;
  /** It wants the PIN at each signature. */
  readonly alwaysAuthenticate: boolean;
}

type ObjectClass = "CKO_PRIVATE_KEY" | "CKO_PUBLIC_KEY" | "CKO_CERTIFICATE";
type AttributeName = Extract<keyof CryptokiConstants, `CKA_${string}`>;

/** Objects of one class that are looked at. Safety limit: two are enough to know that a name is ambiguous. */
const MAX_FOUND = 8;

/**
 * Finds the one private key that a URI names.
 *
 * @throws {NotFoundError} `signer.key-absent`
 * @throws {UsageError} `signer.key-ambiguous`
 */
export function findKey(module: Pkcs11Module, session: Buffer, uri: Pkcs11Uri, name: string): TokenKey {
  const [handle, ...more] = findObjects(module, session, "CKO_PRIVATE_KEY", uri);
  if (handle === undefined) {
    const others = (["CKO_CERTIFICATE", "CKO_PUBLIC_KEY"] as const).filter(
      (kind) => findObjects(module, session, kind, uri).length > 0,
    );
    const found = others.map((kind) => (kind === "CKO_CERTIFICATE" ? "a certificate" : "a public key")).join(" and ");
    throw new NotFoundError(
      "signer.key-absent",
      `${name}: the token has no such private key${found === "" ? "" : `, only ${found}`}`,
    );
  }
  const attribute = (which: AttributeName): Buffer | undefined => readAttribute(module, session, handle, which);
  if (more.length > 0) {
    throw new UsageError("signer.key-ambiguous", `${name}: the token has ${more.length + 1} such private keys`, {
      hint: "add object=… or id=… to the URI",
    });
  }
  return {
    handle,
    id: attribute("CKA_ID"),
    label: attribute("CKA_LABEL")?.toString("utf8"),
    alwaysAuthenticate: (attribute("CKA_ALWAYS_AUTHENTICATE")?.[0] ?? 0) !== 0,
  };
}

/** The certificate with the identifier of the key, which PKCS #11 has the two share (3.0 §4.6); DER. */
export function certificateOf(module: Pkcs11Module, session: Buffer, key: TokenKey): Uint8Array | undefined {
  const [handle] = findBeside(module, session, "CKO_CERTIFICATE", key);
  return handle && readAttribute(module, session, handle, "CKA_VALUE");
}

/** From the public numbers of the private key, from its public key object, or from its certificate; SPKI. */
export function publicKeyOf(module: Pkcs11Module, session: Buffer, key: TokenKey): Uint8Array | undefined {
  const [publicKey] = findBeside(module, session, "CKO_PUBLIC_KEY", key);
  for (const handle of [key.handle, publicKey]) {
    const spki = handle && readPublicNumbers(module, session, handle);
    if (spki !== undefined) return spki;
  }
  const certificate = certificateOf(module, session, key);
  return certificate && parseCertificate(certificate, "certificate in the token").publicKey.spki;
}

function readPublicNumbers(module: Pkcs11Module, session: Buffer, handle: Buffer): Uint8Array | undefined {
  const attribute = (which: AttributeName): Buffer | undefined => readAttribute(module, session, handle, which);
  const [modulus, exponent] = [attribute("CKA_MODULUS"), attribute("CKA_PUBLIC_EXPONENT")];
  if (modulus !== undefined && exponent !== undefined) return encodeRsaPublicKey(modulus, exponent);
  const [parameters, point] = [attribute("CKA_EC_PARAMS"), attribute("CKA_EC_POINT")];
  if (parameters === undefined || point === undefined) return undefined;
  return encodeEcPublicKey(parameters, new DerReader(point, "CKA_EC_POINT").octetString("point"));
}

function findBeside(module: Pkcs11Module, session: Buffer, kind: ObjectClass, { id, label }: TokenKey): Buffer[] {
  if (id !== undefined && id.length > 0) return findObjects(module, session, kind, { id });
  return label === undefined || label === "" ? [] : findObjects(module, session, kind, { object: label });
}

function findObjects(
  { constants, cryptoki }: Pkcs11Module,
  session: Buffer,
  kind: ObjectClass,
  { id, object }: Pick<Pkcs11Uri, "id" | "object">,
): Buffer[] {
  cryptoki.C_FindObjectsInit(session, [
    { type: constants.CKA_CLASS, value: constants[kind] },
    ...(object === undefined ? [] : [{ type: constants.CKA_LABEL, value: object }]),
    ...(id === undefined ? [] : [{ type: constants.CKA_ID, value: Buffer.from(id) }]),
  ]);
  try {
    return cryptoki.C_FindObjects(session, MAX_FOUND);
  } finally {
    cryptoki.C_FindObjectsFinal(session);
  }
}

/** Safety limit on attributes: a certificate has some KiB. */
const MAX_ATTRIBUTE_SIZE = 64 * 1024;

/** An attribute that the object does not have, or that the token does not show. */
function readAttribute(
  { constants, cryptoki }: Pkcs11Module,
  session: Buffer,
  handle: Buffer,
  which: AttributeName,
): Buffer | undefined {
  let value: unknown;
  try {
    value = cryptoki.C_GetAttributeValue(session, handle, [{ type: constants[which] }])[0]?.value;
  } catch {
    return undefined;
  }
  if (!Buffer.isBuffer(value)) return undefined;
  if (value.length <= MAX_ATTRIBUTE_SIZE) return value;
  throw new ServiceError("signer.pkcs11-failed", `token: ${which} has ${value.length} bytes`);
}
