import type { Pkcs11Uri } from "../../../formats/pkcs11-uri/index.ts";
import { UsageError } from "../../../lib/errors.ts";
import type { Pkcs11Module } from "../../host-io/pkcs11.ts";

export interface Token {
  /** Slot that it is in. */
  readonly slot: Buffer;
  readonly label: string;
  readonly serial: string;
  /** CKF_… of CK_TOKEN_INFO. */
  readonly flags: number;
}

/** Slots of one module that are looked at. Safety limit: an HSM partition is a slot, and large ones have some hundred. */
const MAX_SLOTS = 1024;

/**
 * Finds the one token of a module that a URI names.
 *
 * @returns nothing when none is
 * @throws {UsageError} `signer.token-ambiguous`
 */
export function findToken(module: Pkcs11Module, uri: Pkcs11Uri, what: string): Token | undefined {
  if (!isLibrary(module, uri)) return undefined;
  const slots = module.cryptoki.C_GetSlotList(true).slice(0, MAX_SLOTS);
  const [token, ...more] = slots.flatMap((slot) => tokensIn(module, slot, uri));
  if (token === undefined || more.length === 0) return token;
  const found = [token, ...more].map(({ label, serial }) => ({ label, serial }));
  const list = found.map(({ label, serial }) => `token=${label};serial=${serial}`).join(", ");
  throw new UsageError("signer.token-ambiguous", `${found.length} tokens are ${what}: ${list}`, {
    hint: "add serial=… to the URI",
    data: { tokens: found },
  });
}

/** Nothing, or the token when the URI names it. A slot whose reader fails has none. */
function tokensIn({ constants, cryptoki }: Pkcs11Module, slot: Buffer, uri: Pkcs11Uri): Token[] {
  const info = attempt(() => cryptoki.C_GetTokenInfo(slot));
  if (info === undefined || (info.flags & constants.CKF_TOKEN_INITIALIZED) === 0) return [];
  const token = { slot, label: unpad(info.label), serial: unpad(info.serialNumber), flags: info.flags };
  const matches =
    isSame(uri.token, token.label) &&
    isSame(uri.serial, token.serial) &&
    isSame(uri.manufacturer, unpad(info.manufacturerID)) &&
    isSame(uri.model, unpad(info.model)) &&
    (uri.slotId === undefined || uri.slotId === slotNumber(slot)) &&
    isSlot(cryptoki.C_GetSlotInfo(slot), uri);
  return matches ? [token] : [];
}

function isSlot(
  { manufacturerID, slotDescription }: { readonly manufacturerID: string; readonly slotDescription: string },
  uri: Pkcs11Uri,
): boolean {
  return isSame(uri.slotManufacturer, unpad(manufacturerID)) && isSame(uri.slotDescription, unpad(slotDescription));
}

function isLibrary({ cryptoki }: Pkcs11Module, uri: Pkcs11Uri): boolean {
  const { libraryDescription, libraryManufacturer, libraryVersion } = uri;
  if ((libraryDescription ?? libraryManufacturer ?? libraryVersion) === undefined) return true;
  const info = cryptoki.C_GetInfo();
  const { major, minor } = info.libraryVersion;
  return (
    isSame(libraryDescription, unpad(info.libraryDescription)) &&
    isSame(libraryManufacturer, unpad(info.manufacturerID)) &&
    (libraryVersion === undefined || [`${major}`, `${major}.${minor}`].includes(libraryVersion))
  );
}

/** An attribute that the URI leaves out matches everything. */
function isSame(wanted: string | undefined, found: string): boolean {
  return wanted === undefined || wanted === found;
}

/** Fields have a fixed size, filled with blanks; some modules fill with NULs. */
function unpad(field: string): string {
  return field.replace(/[ \0]+$/, "");
}

/** A CK_SLOT_ID is a `long` of the machine. */
function slotNumber(slot: Buffer): number {
  return slot.readUIntLE(0, Math.min(slot.length, 6));
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
