import { alignUp } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { IMAGE_SUBSYSTEM_EFI_APPLICATION, type Pe, parsePe, sectionContent } from "../pe/index.ts";
import { COFF, COFF_SYMBOL_SIZE, OPTIONAL, SECTION } from "../pe/layout.ts";

/**
 * Reads a stub and brings it into the shape that sections can be appended to. Stubs since systemd 254 or so already
 * have it, and are returned as they are; older ones lose their symbol table and get aligned raw data.
 *
 * @returns a stub whose raw data and SizeOfHeaders are multiples of FileAlignment
 * @throws {FormatError} `pe.…`; `uki.stub.subsystem`; `uki.stub.signed`, since a signature over the stub alone would
 *   be broken by what is added
 */
export function prepareStub(bytes: Uint8Array): Pe {
  const stub = parsePe(bytes);
  if (stub.subsystem !== IMAGE_SUBSYSTEM_EFI_APPLICATION) {
    throw new FormatError("uki.stub.subsystem", {
      what: "UKI stub: Subsystem",
      offset: stub.optionalOffset + OPTIONAL.subsystem,
      expected: "10 (EFI application)",
      found: `${stub.subsystem}`,
    });
  }
  const directory = stub.directories[4];
  if (directory !== undefined && (directory.address !== 0 || directory.size !== 0)) {
    throw new FormatError("uki.stub.signed", {
      what: "UKI stub: certificate table",
      offset: stub.certificateEntryOffset,
      expected: "none: a UKI is signed as a whole",
      found: `${directory.size} bytes at ${directory.address}`,
    });
  }
  return alignRawData(stripSymbols(stub));
}

/** What a program of systemd says of itself, in its section `.sdmagic`. */
export function findMagic(pe: Pe): string | undefined {
  const magic = pe.sections.find(({ name }) => name === ".sdmagic");
  return magic === undefined ? undefined : Buffer.from(sectionContent(pe, magic)).toString("latin1");
}

/** The systemd version a stub or UKI names in `.sdmagic`: `#### LoaderInfo: systemd-stub 262-1 ####`. */
export function readStubVersion(pe: Pe): number | undefined {
  const version = /LoaderInfo: systemd-(?:stub|addon) (\d{1,6})/.exec(findMagic(pe) ?? "")?.[1];
  return version === undefined ? undefined : Number(version);
}

/**
 * Cuts a COFF symbol table with its string table, when they are the file's end; image files should have none. The
 * flag that would say so stays clear: ukify means to set it, but its bytes do not have it.
 */
function stripSymbols(stub: Pe): Pe {
  if (stub.pointerToSymbolTable === 0) return stub;
  const symbolsEnd = stub.pointerToSymbolTable + stub.numberOfSymbols * COFF_SYMBOL_SIZE;
  if (symbolsEnd + 4 > stub.bytes.length) return stub;
  const stringsSize = Buffer.from(stub.bytes.subarray(symbolsEnd, symbolsEnd + 4)).readUInt32LE();
  if (symbolsEnd + stringsSize !== stub.bytes.length) return stub;

  const out = Buffer.from(stub.bytes.subarray(0, stub.pointerToSymbolTable));
  out.writeUInt32LE(0, stub.coffOffset + COFF.pointerToSymbolTable);
  out.writeUInt32LE(0, stub.coffOffset + COFF.numberOfSymbols);
  return parsePe(out);
}

/** Moves raw data to multiples of FileAlignment; the gaps between sections stay. */
function alignRawData(stub: Pe): Pe {
  const { fileAlignment, sections } = stub;
  const aligned = (value: number): boolean => value % fileAlignment === 0;
  if (aligned(stub.sizeOfHeaders) && sections.every((s) => aligned(s.rawOffset) && aligned(s.rawSize))) return stub;

  const sizeOfHeaders = alignUp(stub.sizeOfHeaders, fileAlignment);
  let shift = 0;
  const moved = sections
    .filter((section) => section.rawSize !== 0)
    .map((section) => {
      const rawOffset = alignUp(section.rawOffset + shift, fileAlignment);
      const rawSize = alignUp(section.rawSize, fileAlignment);
      shift = rawOffset + rawSize - section.rawOffset - section.rawSize;
      return { section, rawOffset, rawSize };
    });
  const oldEnd = Math.max(stub.sizeOfHeaders, ...moved.map(({ section }) => section.rawOffset + section.rawSize));
  const out = Buffer.alloc(stub.bytes.length + shift);
  out.set(stub.bytes.subarray(0, stub.sizeOfHeaders));
  out.set(stub.bytes.subarray(oldEnd), oldEnd + shift);
  for (const { section, rawOffset, rawSize } of moved) {
    out.set(stub.bytes.subarray(section.rawOffset, section.rawOffset + section.rawSize), rawOffset);
    out.writeUInt32LE(rawOffset, section.headerOffset + SECTION.pointerToRawData);
    out.writeUInt32LE(rawSize, section.headerOffset + SECTION.sizeOfRawData);
  }
  out.writeUInt32LE(sizeOfHeaders, stub.optionalOffset + OPTIONAL.sizeOfHeaders);
  return parsePe(out);
}
