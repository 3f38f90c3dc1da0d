/**
 * Offsets and constants of the PE format.
 *
 * @see Microsoft PE/COFF specification (revision 11), "MS-DOS Stub", "COFF File Header", "Optional Header",
 *   "Section Table", "The Attribute Certificate Table"
 */

/** IMAGE_DOS_HEADER: only the two fields that lead to the PE header. */
export const DOS = { magic: 0x00, peOffset: 0x3c, size: 0x40 } as const;

/** From the start of "PE\0\0". */
export const COFF = {
  machine: 4,
  numberOfSections: 6,
  timeDateStamp: 8,
  pointerToSymbolTable: 12,
  numberOfSymbols: 16,
  sizeOfOptionalHeader: 20,
  characteristics: 22,
  size: 24,
} as const;

/** From the start of the optional header; the same in PE32 and PE32+. */
export const OPTIONAL = {
  magic: 0,
  sizeOfCode: 4,
  sizeOfInitializedData: 8,
  addressOfEntryPoint: 16,
  sectionAlignment: 32,
  fileAlignment: 36,
  majorImageVersion: 44,
  sizeOfImage: 56,
  sizeOfHeaders: 60,
  checkSum: 64,
  subsystem: 68,
  dllCharacteristics: 70,
} as const;

/** Where the two optional headers differ, by their magic; offsets from the start of the optional header. */
export const FLAVOURS = {
  0x10b: { name: "PE32", numberOfRvaAndSizes: 92, directories: 96 },
  0x20b: { name: "PE32+", numberOfRvaAndSizes: 108, directories: 112 },
} as const;

/** IMAGE_DATA_DIRECTORY; its index in the optional header is its meaning. */
export const DIRECTORY = { address: 0, size: 4, entrySize: 8 } as const;
/** The only directory whose address is a file offset. */
export const CERTIFICATE_DIRECTORY = 4;
export const BASE_RELOCATION_DIRECTORY = 5;

/** Bytes of a section name; a NUL ends a shorter one. */
export const SECTION_NAME_SIZE = 8;

/** IMAGE_SECTION_HEADER. */
export const SECTION = {
  name: 0,
  virtualSize: 8,
  virtualAddress: 12,
  sizeOfRawData: 16,
  pointerToRawData: 20,
  characteristics: 36,
  size: 40,
} as const;

/** WIN_CERTIFICATE. */
export const CERTIFICATE = { length: 0, revision: 4, type: 6, content: 8, alignment: 8 } as const;
export const WIN_CERT_REVISION_2_0 = 0x0200;
export const WIN_CERT_TYPE_PKCS_SIGNED_DATA = 0x0002;

/** "Machine Types", those that UEFI boots. */
export const MACHINE = { i386: 0x014c, amd64: 0x8664, arm64: 0xaa64, riscv64: 0x5064 } as const;

export const IMAGE_SUBSYSTEM_EFI_APPLICATION = 10;
export const IMAGE_DLLCHARACTERISTICS_NX_COMPAT = 0x0100;

/** One COFF symbol table record; the string table that follows starts with its own length. */
export const COFF_SYMBOL_SIZE = 18;
