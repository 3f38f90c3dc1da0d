import type { Guid } from "../../lib/bytes/guid.ts";
import { alignUp, equalBytes } from "../../lib/bytes/numbers.ts";
import { UsageError } from "../../lib/errors.ts";
import { ERASED, RECORD_ALIGNMENT, RECORD_HEADER_SIZE, RECORD_MAGIC, STATE_ADDED } from "./layout.ts";
import { parseVariableStore, type StoredVariable } from "./read.ts";

/** A variable to put into a store, in the place of any other of the same name and vendor. */
export interface VariableValue {
  readonly name: string;
  readonly vendor: Guid;
  readonly attributes: number;
  /** EFI_TIME; zeros by default. */
  readonly time?: Uint8Array;
  readonly data: Uint8Array;
}

const NO_TIME = new Uint8Array(16);

/**
 * Puts variables into a store, each in the place of the one with its name and vendor, and compacts it.
 *
 * The bytes are those of virt-fw-vars: all live variables by name (UTF-16 code units, upper case first), the rest of the
 * store erased, everything outside the store as it was.
 *
 * @param bytes a flash image; it is not changed
 * @throws {UsageError} `varstore.full` when the variables do not fit
 * @throws as `parseVariableStore`
 */
export function updateVariableStore(
  bytes: Uint8Array,
  values: readonly VariableValue[],
  what = "variable store",
): Uint8Array {
  const { variables, recordsStart, recordsEnd } = parseVariableStore(bytes, what);
  const isReplaced = (old: StoredVariable): boolean =>
    values.some(({ name, vendor }) => name === old.name && equalBytes(vendor, old.vendor));
  const next = [...variables.filter((old) => !isReplaced(old)), ...values.map(toStored)];
  next.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : Buffer.compare(a.vendor, b.vendor)));

  const result = Uint8Array.from(bytes);
  result.fill(ERASED, recordsStart, recordsEnd);
  let at = recordsStart;
  for (const variable of next) {
    const record = encodeRecord(variable);
    if (at + record.length > recordsEnd) {
      const size = next.reduce((sum, each) => sum + alignUp(encodeRecord(each).length, RECORD_ALIGNMENT), 0);
      throw new UsageError("varstore.full", `${what}: ${size} bytes of variables, ${recordsEnd - recordsStart} fit`);
    }
    result.set(record, at);
    at = alignUp(at + record.length, RECORD_ALIGNMENT);
  }
  return result;
}

const toStored = ({ time = NO_TIME, ...value }: VariableValue): StoredVariable => ({
  ...value,
  time,
  monotonicCount: 0n,
  publicKeyIndex: 0,
});

function encodeRecord(variable: StoredVariable): Uint8Array {
  const name = Buffer.from(`${variable.name}\0`, "utf16le");
  const header = Buffer.alloc(RECORD_HEADER_SIZE);
  header.writeUInt16LE(RECORD_MAGIC, 0);
  header.writeUInt8(STATE_ADDED, 2);
  header.writeUInt32LE(variable.attributes, 4);
  header.writeBigUInt64LE(variable.monotonicCount, 8);
  header.set(variable.time, 16);
  header.writeUInt32LE(variable.publicKeyIndex, 32);
  header.writeUInt32LE(name.length, 36);
  header.writeUInt32LE(variable.data.length, 40);
  header.set(variable.vendor, 44);
  return Buffer.concat([header, name, variable.data]);
}
