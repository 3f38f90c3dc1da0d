import { Cursor } from "../../lib/bytes/cursor.ts";
import { showGuid } from "../../lib/bytes/guid.ts";
import { FormatError } from "../../lib/errors.ts";
import { EVENT_TYPES, type HashAlgorithm } from "./layout.ts";
import type { EventLog } from "./read.ts";

/** A driver that firmware started from outside its own volume: an option ROM. */
export interface OptionRom {
  /** Authenticode digest by bank. */
  readonly digests: ReadonlyMap<HashAlgorithm, Uint8Array>;
  /** Where it came from: `PciRoot(0x0)/Pci(0x2,0x0)`. As firmware tells, which nothing proves. */
  readonly devicePath: string;
}

/** Where code from option ROMs is measured (TCG PC Client Platform Firmware Profile 1.06 §3.3.4.3). */
const OPTION_ROM_PCR = 2;

const DRIVER_TYPES: ReadonlySet<number> = new Set([
  EVENT_TYPES.EV_EFI_BOOT_SERVICES_DRIVER,
  EVENT_TYPES.EV_EFI_RUNTIME_SERVICES_DRIVER,
]);

/** The option ROMs that a log says were started, in order; what Secure Boot will want an entry of db for. */
export function listOptionRoms({ events }: EventLog): OptionRom[] {
  return events
    .filter(({ pcr, type }) => pcr === OPTION_ROM_PCR && DRIVER_TYPES.has(type))
    .map(({ data, digests }) => ({ digests, devicePath: describeLoadEvent(data) }));
}

/** UEFI_IMAGE_LOAD_EVENT up to its device path (§10.2.3): address, length, link-time address, path length. */
const LOAD_EVENT_SIZE = 32;
/** Safety limit: device paths have some ten nodes. */
const MAX_NODES = 64;

function describeLoadEvent(data: Uint8Array): string {
  try {
    const cursor = new Cursor(data, "image load event", "eventlog.truncated");
    cursor.skip(LOAD_EVENT_SIZE - 8, "address and length");
    cursor.skip(8, "LengthOfDevicePath");
    const nodes: string[] = [];
    while (cursor.remaining >= 4 && nodes.length < MAX_NODES) {
      const [type, subtype, length] = [cursor.u8("Type"), cursor.u8("SubType"), cursor.u16le("Length")];
      if (type === END_OF_PATH) break;
      nodes.push(describeNode(type, subtype, cursor.bytes(Math.max(0, length - 4), "node")));
    }
    return nodes.join("/") || "unknown";
  } catch (error) {
    if (error instanceof FormatError) return "unknown";
    throw error;
  }
}

const END_OF_PATH = 0x7f;
/** EISA id of a PCI root bridge (PNP0A03), which shares its name with PCI Express (PNP0A08). */
const PCI_ROOTS: ReadonlySet<number> = new Set([0x0a03_41d0, 0x0a08_41d0]);

/** The nodes that lead to an option ROM; others by their numbers (UEFI 2.10 §10.3). */
function describeNode(type: number, subtype: number, body: Uint8Array): string {
  const fields = Buffer.from(body);
  if (type === 1 && subtype === 1 && body.length === 2) {
    return `Pci(0x${hex(fields[1] ?? 0)},0x${hex(fields[0] ?? 0)})`;
  }
  if (type === 2 && subtype === 1 && body.length === 8 && PCI_ROOTS.has(fields.readUInt32LE(0))) {
    return `PciRoot(0x${hex(fields.readUInt32LE(4))})`;
  }
  if (type === 4 && (subtype === 6 || subtype === 7) && body.length === 16) {
    return `${subtype === 6 ? "FvFile" : "Fv"}(${showGuid(body)})`;
  }
  if (type === 4 && subtype === 8 && body.length === 20) {
    return `Offset(0x${fields.readBigUInt64LE(4).toString(16)},0x${fields.readBigUInt64LE(12).toString(16)})`;
  }
  return `Path(${type},${subtype})`;
}

const hex = (value: number): string => value.toString(16);
