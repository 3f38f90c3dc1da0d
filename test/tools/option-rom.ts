/** An event log with a driver from an option ROM in it, made from one without: no fixture's machine has any. */

/** PciRoot(0x0)/Pci(0x2,0x0), and the end of the path (UEFI 2.10 §10.3). */
const DEVICE_PATH = Buffer.from(["02010c00d041030a00000000", "010106000002", "7fff0400"].join(""), "hex");

/** @param digests by TPM_ALG_ID, in the order and with the banks of the log's header */
export function withOptionRom(log: Uint8Array, digests: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(2, 0);
  head.writeUInt32LE(0x8000_0004, 4);
  head.writeUInt32LE(digests.size, 8);
  const banks = [...digests].map(([id, digest]) => {
    const algorithm = Buffer.alloc(2);
    algorithm.writeUInt16LE(id);
    return Buffer.concat([algorithm, digest]);
  });
  const event = Buffer.concat([Buffer.alloc(24), u64(DEVICE_PATH.length), DEVICE_PATH]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(event.length);
  return Buffer.concat([log, head, ...banks, size, event]);
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
