import { Cursor } from "../../lib/bytes/cursor.ts";
import { type Guid, showGuid } from "../../lib/bytes/guid.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { LIST_HEADER_SIZE, MAX_LISTS_SIZE, OWNER_SIZE, SIGNATURE_TYPES, type SignatureType } from "./layout.ts";

/** EFI_SIGNATURE_DATA. */
export interface Signature {
  /** Who put it there; compared by nobody, but measured into PCR 7. */
  readonly owner: Guid;
  readonly data: Uint8Array;
}

/** EFI_SIGNATURE_LIST: signatures of one type and one size. */
export interface SignatureList {
  readonly type: Guid;
  /** The type by name; absent when it is not in `SIGNATURE_TYPES`. */
  readonly typeName: SignatureType | undefined;
  readonly signatures: readonly Signature[];
}

/**
 * Reads the signature lists of a variable (PK, KEK, db, dbx) or an `.esl` file; no bytes are no lists.
 *
 * @returns owners and data are views into `bytes`
 * @throws {FormatError} `esl.too-large`, `esl.truncated`, `esl.list-size`, `esl.header-size`, `esl.signature-size`
 * @see UEFI 2.10 §32.4.1
 */
export function parseSignatureLists(bytes: Uint8Array, what = "signature list"): SignatureList[] {
  if (bytes.length > MAX_LISTS_SIZE) {
    const expected = `at most ${MAX_LISTS_SIZE} bytes`;
    throw new FormatError("esl.too-large", { what, expected, found: `${bytes.length} bytes` });
  }
  const cursor = new Cursor(bytes, what, "esl.truncated");
  const lists: SignatureList[] = [];
  while (cursor.remaining > 0) lists.push(readList(cursor, what));
  return lists;
}

function readList(cursor: Cursor, what: string): SignatureList {
  const { offset } = cursor;
  const type = cursor.bytes(16, "SignatureType");
  const listSize = cursor.u32le("SignatureListSize");
  const headerSize = cursor.u32le("SignatureHeaderSize");
  const signatureSize = cursor.u32le("SignatureSize");
  const refuse = (code: string, field: string, expected: string, found: number): never => {
    throw new FormatError(code, { what: `${what}: ${field}`, offset, expected, found: String(found) });
  };
  // No type that UEFI defines has a header.
  if (headerSize !== 0) refuse("esl.header-size", "SignatureHeaderSize", "0", headerSize);
  const typeName = nameType(type);
  const dataSize = typeName === undefined ? undefined : SIGNATURE_TYPES[typeName].dataSize;
  if (dataSize !== undefined && signatureSize !== OWNER_SIZE + dataSize) {
    refuse("esl.signature-size", "SignatureSize", `${OWNER_SIZE + dataSize} for ${typeName}`, signatureSize);
  }
  if (signatureSize <= OWNER_SIZE)
    refuse("esl.signature-size", "SignatureSize", `more than ${OWNER_SIZE}`, signatureSize);
  const content = listSize - LIST_HEADER_SIZE;
  if (content < 0 || content % signatureSize !== 0) {
    refuse("esl.list-size", "SignatureListSize", `${LIST_HEADER_SIZE} and a multiple of ${signatureSize}`, listSize);
  }
  if (content > cursor.remaining) {
    refuse("esl.list-size", "SignatureListSize", `at most ${LIST_HEADER_SIZE + cursor.remaining}`, listSize);
  }
  const signatures = Array.from({ length: content / signatureSize }, () => ({
    owner: cursor.bytes(OWNER_SIZE, "SignatureOwner"),
    data: cursor.bytes(signatureSize - OWNER_SIZE, "SignatureData"),
  }));
  return { type, typeName, signatures };
}

function nameType(guid: Guid): SignatureType | undefined {
  const names = Object.keys(SIGNATURE_TYPES) as SignatureType[];
  return names.find((name) => equalBytes(SIGNATURE_TYPES[name].guid, guid));
}

/** The type's name, or its GUID where it has none here. */
export function showSignatureType({ type, typeName }: SignatureList): string {
  return typeName ?? showGuid(type);
}
