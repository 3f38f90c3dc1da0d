import { FormatError } from "../../lib/errors.ts";
import {
  hex,
  requireAlignment,
  requireBytes,
  requireCertificateRange,
  requireHeaderRoom,
  requireRawRanges,
} from "./check.ts";
import {
  CERTIFICATE_DIRECTORY,
  COFF,
  DIRECTORY,
  DOS,
  FLAVOURS,
  OPTIONAL,
  SECTION,
  SECTION_NAME_SIZE,
} from "./layout.ts";

export interface PeSection {
  /** Up to 8 bytes, the first NUL ends it; one character a byte. */
  readonly name: string;
  readonly virtualSize: number;
  /** From the image base (RVA). */
  readonly virtualAddress: number;
  readonly rawSize: number;
  readonly rawOffset: number;
  readonly characteristics: number;
  /** File offset of the 40-byte section header. */
  readonly headerOffset: number;
}

export interface DataDirectory {
  /** An RVA, except for the certificate table, where it is a file offset. */
  readonly address: number;
  readonly size: number;
}

export interface CertificateDirectory {
  /** File offset. */
  readonly offset: number;
  readonly size: number;
}

/** A checked view of a PE file: every range below lies inside `bytes`. */
export interface Pe {
  /** The whole file, not a copy. */
  readonly bytes: Uint8Array;
  readonly flavour: "PE32" | "PE32+";
  readonly machine: number;
  readonly timeDateStamp: number;
  /** COFF characteristics. */
  readonly characteristics: number;
  readonly pointerToSymbolTable: number;
  readonly numberOfSymbols: number;
  readonly sizeOfCode: number;
  readonly sizeOfInitializedData: number;
  readonly addressOfEntryPoint: number;
  readonly sectionAlignment: number;
  readonly fileAlignment: number;
  readonly majorImageVersion: number;
  readonly sizeOfImage: number;
  readonly sizeOfHeaders: number;
  readonly checksum: number;
  readonly subsystem: number;
  readonly dllCharacteristics: number;
  readonly directories: readonly DataDirectory[];
  /** Data directory 4; absent when its size is 0. */
  readonly certificates: CertificateDirectory | undefined;
  readonly sections: readonly PeSection[];

  /** File offset of "PE\0\0". */
  readonly coffOffset: number;
  /** File offset of the optional header. */
  readonly optionalOffset: number;
  /** File offset of the 4-byte CheckSum field. */
  readonly checksumOffset: number;
  /** File offset of the 8-byte data directory 4. */
  readonly certificateEntryOffset: number;
  /** File offset of the first section header. */
  readonly sectionTableOffset: number;
}

/**
 * Reads the headers of a PE32 or PE32+ file and checks that they describe it.
 *
 * Sections without raw data may point anywhere. Others lie behind the headers, inside the file, before the
 * certificate table, and share no byte with each other. Names and addresses in memory are not judged.
 *
 * @throws {FormatError} `pe.…` when a header is cut off, or a range does not lie where it may
 * @see Microsoft PE/COFF specification; UEFI 2.10 section 2.1.1
 */
export function parsePe(bytes: Uint8Array): Pe {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const coffOffset = locateCoffHeader(view);
  const optionalOffset = coffOffset + COFF.size;
  const optionalSize = view.getUint16(coffOffset + COFF.sizeOfOptionalHeader, true);
  const flavour = requireOptionalHeader(view, optionalOffset, optionalSize);

  const u16 = (field: number): number => view.getUint16(optionalOffset + field, true);
  const u32 = (field: number): number => view.getUint32(optionalOffset + field, true);
  const sectionAlignment = requireAlignment(u32(OPTIONAL.sectionAlignment), "SectionAlignment", optionalOffset);
  const fileAlignment = requireAlignment(u32(OPTIONAL.fileAlignment), "FileAlignment", optionalOffset);
  const sizeOfHeaders = u32(OPTIONAL.sizeOfHeaders);
  const sectionTableOffset = optionalOffset + optionalSize;
  const sectionCount = view.getUint16(coffOffset + COFF.numberOfSections, true);
  requireHeaderRoom(bytes.length, sizeOfHeaders, sectionTableOffset, sectionCount);

  const directoriesOffset = optionalOffset + flavour.directories;
  const directories = readDirectories(view, directoriesOffset, u32(flavour.numberOfRvaAndSizes));
  const certificates = requireCertificateRange(directories[CERTIFICATE_DIRECTORY], sizeOfHeaders, bytes.length);
  const sections = readSections(bytes, view, sectionTableOffset, sectionCount);
  requireRawRanges(sections, sizeOfHeaders, bytes.length, certificates);

  return {
    bytes,
    flavour: flavour.name,
    machine: view.getUint16(coffOffset + COFF.machine, true),
    timeDateStamp: view.getUint32(coffOffset + COFF.timeDateStamp, true),
    characteristics: view.getUint16(coffOffset + COFF.characteristics, true),
    pointerToSymbolTable: view.getUint32(coffOffset + COFF.pointerToSymbolTable, true),
    numberOfSymbols: view.getUint32(coffOffset + COFF.numberOfSymbols, true),
    sizeOfCode: u32(OPTIONAL.sizeOfCode),
    sizeOfInitializedData: u32(OPTIONAL.sizeOfInitializedData),
    addressOfEntryPoint: u32(OPTIONAL.addressOfEntryPoint),
    sectionAlignment,
    fileAlignment,
    majorImageVersion: u16(OPTIONAL.majorImageVersion),
    sizeOfImage: u32(OPTIONAL.sizeOfImage),
    sizeOfHeaders,
    checksum: u32(OPTIONAL.checkSum),
    subsystem: u16(OPTIONAL.subsystem),
    dllCharacteristics: u16(OPTIONAL.dllCharacteristics),
    directories,
    certificates,
    sections,
    coffOffset,
    optionalOffset,
    checksumOffset: optionalOffset + OPTIONAL.checkSum,
    certificateEntryOffset: directoriesOffset + CERTIFICATE_DIRECTORY * DIRECTORY.entrySize,
    sectionTableOffset,
  };
}

/** Whether the bytes start like a PE file: "MZ", and "PE\0\0" where it points. Says nothing about the rest. */
export function isPe(bytes: Uint8Array): boolean {
  if (bytes.length < DOS.size || bytes[0] !== 0x4d || bytes[1] !== 0x5a) return false;
  const at = new DataView(bytes.buffer, bytes.byteOffset).getUint32(DOS.peOffset, true);
  return Buffer.from("PE\0\0").equals(bytes.subarray(at, at + 4));
}

/**
 * What the file holds of a section: `rawSize` bytes, or `virtualSize` when that is less.
 *
 * @returns a view into `pe.bytes`; where `virtualSize` is larger, memory continues with zeros
 */
export function sectionContent(pe: Pe, section: PeSection): Uint8Array {
  const size = Math.min(section.virtualSize, section.rawSize);
  return size === 0 ? new Uint8Array(0) : pe.bytes.subarray(section.rawOffset, section.rawOffset + size);
}

function locateCoffHeader(view: DataView): number {
  requireBytes(view, 0, DOS.size, "PE: DOS header");
  const magic = view.getUint16(DOS.magic, true);
  if (magic !== 0x5a4d) {
    throw new FormatError("pe.dos.magic", {
      what: "PE: DOS magic",
      offset: 0,
      expected: '0x5a4d ("MZ")',
      found: hex(magic),
    });
  }
  const coffOffset = view.getUint32(DOS.peOffset, true);
  requireBytes(view, coffOffset, COFF.size, "PE: COFF header");
  const signature = view.getUint32(coffOffset, true);
  if (signature !== 0x4550) {
    throw new FormatError("pe.signature", {
      what: "PE: signature",
      offset: coffOffset,
      expected: '0x4550 ("PE\\0\\0")',
      found: hex(signature),
    });
  }
  return coffOffset;
}

type Flavour = (typeof FLAVOURS)[keyof typeof FLAVOURS];

function requireOptionalHeader(view: DataView, offset: number, size: number): Flavour {
  requireBytes(view, offset, size, "PE: optional header");
  const magic = size < 2 ? 0 : view.getUint16(offset + OPTIONAL.magic, true);
  if (magic !== 0x10b && magic !== 0x20b) {
    throw new FormatError("pe.optional.magic", {
      what: "PE: optional header magic",
      offset,
      expected: "0x10b (PE32) or 0x20b (PE32+)",
      found: hex(magic),
    });
  }
  const flavour = FLAVOURS[magic];
  const least = flavour.directories + (CERTIFICATE_DIRECTORY + 1) * DIRECTORY.entrySize;
  const count = size < flavour.directories ? 0 : view.getUint32(offset + flavour.numberOfRvaAndSizes, true);
  // Without data directory 4 an image can carry no signature, so no EFI image of interest leaves it out.
  if (count <= CERTIFICATE_DIRECTORY || flavour.directories + count * DIRECTORY.entrySize > size) {
    throw new FormatError("pe.optional.directories", {
      what: "PE: NumberOfRvaAndSizes",
      offset: offset + flavour.numberOfRvaAndSizes,
      expected: `5 or more, inside an optional header of at least ${least} bytes`,
      found: `${count} in ${size} bytes`,
    });
  }
  return flavour;
}

function readDirectories(view: DataView, offset: number, count: number): DataDirectory[] {
  return Array.from({ length: count }, (_, index) => {
    const entry = offset + index * DIRECTORY.entrySize;
    return {
      address: view.getUint32(entry + DIRECTORY.address, true),
      size: view.getUint32(entry + DIRECTORY.size, true),
    };
  });
}

function readSections(bytes: Uint8Array, view: DataView, tableOffset: number, count: number): PeSection[] {
  return Array.from({ length: count }, (_, index) => {
    const headerOffset = tableOffset + index * SECTION.size;
    const u32 = (field: number): number => view.getUint32(headerOffset + field, true);
    return {
      name: sectionName(bytes.subarray(headerOffset, headerOffset + SECTION_NAME_SIZE)),
      virtualSize: u32(SECTION.virtualSize),
      virtualAddress: u32(SECTION.virtualAddress),
      rawSize: u32(SECTION.sizeOfRawData),
      rawOffset: u32(SECTION.pointerToRawData),
      characteristics: u32(SECTION.characteristics),
      headerOffset,
    };
  });
}

function sectionName(field: Uint8Array): string {
  const end = field.indexOf(0);
  return Buffer.from(end === -1 ? field : field.subarray(0, end)).toString("latin1");
}
