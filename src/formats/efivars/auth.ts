import { Cursor } from "../../lib/bytes/cursor.ts";
import { showGuid } from "../../lib/bytes/guid.ts";
import { FormatError, VerificationError } from "../../lib/errors.ts";
import { findChain, OID_DATA, parseSignedData, type SignedData, signDetached, verifySigner } from "../cms/index.ts";
import type { Certificate } from "../x509/index.ts";
import {
  EFI_CERT_TYPE_PKCS7,
  EFI_TIME_SIZE,
  EFI_VARIABLE,
  SECURE_BOOT_ATTRIBUTES,
  type VariableName,
  WIN_CERT_REVISION,
  WIN_CERT_TYPE_EFI_GUID,
  WIN_CERTIFICATE_UEFI_GUID_SIZE,
} from "./layout.ts";
import { encodeEfiTime, parseEfiTime } from "./time.ts";

/** EFI_VARIABLE_AUTHENTICATION_2 and the new value behind it: the content of an `.auth` file. */
export interface AuthenticatedVariable {
  /** To the second; firmware refuses a replacement that is not later than what it replaced. */
  readonly time: Date;
  /** SignedData; empty in the form for setup mode. */
  readonly signature: Uint8Array;
  /** The new value; empty to delete the variable. */
  readonly payload: Uint8Array;
}

/** A write to a variable, before it is signed. */
export interface VariableUpdate extends VariableName {
  /** Default `SECURE_BOOT_ATTRIBUTES`; the signature covers them. `APPEND_WRITE` is set by `append`. */
  readonly attributes?: number;
  /** Add to what is there instead of replacing it. */
  readonly append?: boolean;
  readonly time: Date;
  readonly payload: Uint8Array;
}

/**
 * @returns views into `bytes`
 * @throws {FormatError} `efivars.truncated`, `efivars.time.…`, `efivars.auth.revision`, `efivars.auth.type`,
 *   `efivars.auth.guid`, `efivars.auth.length`
 * @see UEFI 2.10 §8.2.2
 */
export function parseAuthenticatedVariable(bytes: Uint8Array, what = "authenticated variable"): AuthenticatedVariable {
  const cursor = new Cursor(bytes, what, "efivars.truncated");
  const time = parseEfiTime(cursor.bytes(EFI_TIME_SIZE, "TimeStamp"), `${what}: TimeStamp`);
  const length = cursor.u32le("dwLength");
  const expectField = (code: string, field: string, found: string, expected: string): void => {
    if (found !== expected) {
      throw new FormatError(code, { what: `${what}: ${field}`, offset: EFI_TIME_SIZE, expected, found });
    }
  };
  expectField("efivars.auth.revision", "wRevision", hex(cursor.u16le("wRevision")), hex(WIN_CERT_REVISION));
  expectField("efivars.auth.type", "wCertificateType", hex(cursor.u16le("type")), hex(WIN_CERT_TYPE_EFI_GUID));
  expectField("efivars.auth.guid", "CertType", showGuid(cursor.bytes(16, "CertType")), showGuid(EFI_CERT_TYPE_PKCS7));
  const size = length - WIN_CERTIFICATE_UEFI_GUID_SIZE;
  if (size < 0 || size > cursor.remaining) {
    throw new FormatError("efivars.auth.length", {
      what: `${what}: dwLength`,
      offset: EFI_TIME_SIZE,
      expected: `${WIN_CERTIFICATE_UEFI_GUID_SIZE} to ${WIN_CERTIFICATE_UEFI_GUID_SIZE + cursor.remaining}`,
      found: String(length),
    });
  }
  const signature = cursor.bytes(size, "CertData");
  return { time, signature, payload: cursor.bytes(cursor.remaining, "payload") };
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(4, "0")}`;
}

/** An empty `signature` gives the unsigned form, which firmware takes in setup mode and custom mode. */
export function encodeAuthenticatedVariable({ time, signature, payload }: AuthenticatedVariable): Uint8Array {
  const header = Buffer.alloc(WIN_CERTIFICATE_UEFI_GUID_SIZE);
  header.writeUInt32LE(WIN_CERTIFICATE_UEFI_GUID_SIZE + signature.length, 0);
  header.writeUInt16LE(WIN_CERT_REVISION, 4);
  header.writeUInt16LE(WIN_CERT_TYPE_EFI_GUID, 6);
  header.set(EFI_CERT_TYPE_PKCS7, 8);
  return Buffer.concat([encodeEfiTime(time), header, signature, payload]);
}

/** What the signature of an authenticated variable is made over: name, vendor, attributes, time, value. */
export function encodeSignedPart(update: VariableUpdate): Uint8Array {
  const attributes = Buffer.alloc(4);
  attributes.writeUInt32LE(attributesOf(update));
  const name = Buffer.from(update.name, "utf16le"); // without its NUL
  return Buffer.concat([name, update.vendor, attributes, encodeEfiTime(update.time), update.payload]);
}

/** The attributes that a write must be made with, for the signature to fit. */
export function attributesOf({ attributes = SECURE_BOOT_ATTRIBUTES, append = false }: VariableUpdate): number {
  return append ? attributes | EFI_VARIABLE.APPEND_WRITE : attributes;
}

/** Signs a write: the bytes of an `.auth` file. Equal input gives equal bytes with an RSA key. */
export async function signVariable(
  update: VariableUpdate,
  certificate: Certificate,
  sign: (message: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const signature = await signDetached(encodeSignedPart(update), certificate, sign);
  return encodeAuthenticatedVariable({ time: update.time, signature, payload: update.payload });
}

/** Who signed a write, and why that counts. */
export interface VariableEvidence {
  readonly signer: Certificate;
  /** The certificate of `trusted` that the signer is, or leads to. */
  readonly trusted: Certificate;
  readonly time: Date;
  readonly payload: Uint8Array;
}

/**
 * Verifies an `.auth` file as firmware does in user mode.
 *
 * @param target the variable and attributes that it is meant for: the signature covers them
 * @param trusted who may sign: PK's certificate for PK and KEK, those of KEK and PK for db and dbx
 * @throws {VerificationError} `efivars.signature.absent`, `efivars.signature.malformed`, `efivars.signature.untrusted`,
 *   `cms.…`
 * @throws {FormatError} when `bytes` are not an authenticated variable
 */
export function verifyVariable(
  bytes: Uint8Array,
  target: VariableName & { readonly attributes?: number; readonly append?: boolean },
  trusted: readonly Certificate[],
): VariableEvidence {
  const { time, signature, payload } = parseAuthenticatedVariable(bytes, `${target.name}.auth`);
  if (signature.length === 0) {
    throw new VerificationError("efivars.signature.absent", `${target.name}: the update is not signed`);
  }
  const data = readSignature(signature, target.name);
  const signer = verifySigner(data, encodeSignedPart({ ...target, time, payload }));
  const chain = findChain(signer, data.certificates, trusted);
  const anchor = chain?.at(-1);
  if (anchor === undefined) {
    throw new VerificationError(
      "efivars.signature.untrusted",
      `${target.name}: signed by "${signer.subject}", which may not write it`,
    );
  }
  return { signer, trusted: anchor, time, payload };
}

function readSignature(signature: Uint8Array, name: string): SignedData {
  let data: SignedData;
  try {
    data = parseSignedData(signature, `${name}.auth: signature`);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new VerificationError("efivars.signature.malformed", error.message, { cause: error });
  }
  if (data.contentType !== OID_DATA || data.content !== undefined) {
    throw new VerificationError("efivars.signature.malformed", `${name}: the signature is not over detached data`);
  }
  return data;
}
