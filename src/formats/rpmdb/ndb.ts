import { FormatError } from "../../lib/errors.ts";

/** All numbers are little-endian. @see rpm lib/backend/ndb/rpmpkg.c */
const HEADER = { magic: 0, version: 4, slotPages: 12, size: 32 } as const;
const SLOT = { magic: 0, packageIndex: 4, blockOffset: 8, blockCount: 12, size: 16 } as const;
const BLOB = { magic: 0, packageIndex: 4, length: 12, headSize: 16, tailSize: 12 } as const;
const MAGIC = { header: 0x506d7052, slot: 0x746f6c53, blob: 0x53626c42 } as const;
const PAGE_SIZE = 4096;
const BLOCK_SIZE = 16;

export const isNdb = (bytes: Uint8Array): boolean =>
  bytes.length >= HEADER.size && viewOf(bytes).getUint32(HEADER.magic, true) === MAGIC.header;

/**
 * The header blobs of a `Packages.db`, in the order of its slots.
 *
 * Checksums (Adler-32) are not looked at: whoever has the file has its digest.
 *
 * @returns views into `bytes`
 * @throws {FormatError} `rpmdb.ndb.header`, `rpmdb.ndb.slot`, `rpmdb.ndb.blob`
 */
export function readNdbBlobs(bytes: Uint8Array): Uint8Array[] {
  const view = viewOf(bytes);
  const [version, slotPages] = isNdb(bytes)
    ? [view.getUint32(HEADER.version, true), view.getUint32(HEADER.slotPages, true)]
    : [-1, 0];
  const slotsEnd = slotPages * PAGE_SIZE;
  if (version !== 0 || slotsEnd > bytes.length) {
    throw refuse(
      "header",
      0,
      "RpmP, version 0, and pages of slots inside the file",
      `version ${version}, ${slotPages} pages`,
    );
  }
  const blobs: Uint8Array[] = [];
  for (let at: number = HEADER.size; at < slotsEnd; at += SLOT.size) {
    if (view.getUint32(at + SLOT.magic, true) !== MAGIC.slot) throw refuse("slot", at, "a slot", "another magic");
    const blockOffset = view.getUint32(at + SLOT.blockOffset, true);
    if (blockOffset === 0) continue;
    const start = blockOffset * BLOCK_SIZE;
    const end = start + view.getUint32(at + SLOT.blockCount, true) * BLOCK_SIZE;
    if (start < slotsEnd || end > bytes.length || end - start < BLOB.headSize + BLOB.tailSize) {
      throw refuse("slot", at, `a blob between bytes ${slotsEnd} and ${bytes.length}`, `${start} to ${end}`);
    }
    const length = view.getUint32(start + BLOB.length, true);
    const isOurs =
      view.getUint32(start + BLOB.magic, true) === MAGIC.blob &&
      view.getUint32(start + BLOB.packageIndex, true) === view.getUint32(at + SLOT.packageIndex, true);
    if (!isOurs || length > end - start - BLOB.headSize - BLOB.tailSize) {
      throw refuse("blob", start, "the blob of its slot, inside its blocks", `another, or ${length} bytes`);
    }
    blobs.push(bytes.subarray(start + BLOB.headSize, start + BLOB.headSize + length));
  }
  return blobs;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function refuse(thing: "header" | "slot" | "blob", offset: number, expected: string, found: string): FormatError {
  return new FormatError(`rpmdb.ndb.${thing}`, { what: `RPM ndb: ${thing}`, offset, expected, found });
}
