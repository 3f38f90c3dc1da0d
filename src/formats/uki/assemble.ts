import { alignUp } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { IMAGE_DLLCHARACTERISTICS_NX_COMPAT, isPe, MACHINE, type Pe, type PeSection, parsePe } from "../pe/index.ts";
import { COFF, OPTIONAL, SECTION } from "../pe/layout.ts";
import { DATA_CHARACTERISTICS, KERNEL_CHARACTERISTICS } from "./layout.ts";
import { requireDistinctSections, requireSectionName, sectionSize, type UkiSection } from "./section.ts";
import { prepareStub } from "./stub.ts";

/** Where one section goes. */
interface Placement {
  readonly section: UkiSection;
  readonly size: number;
  readonly rawOffset: number;
  readonly rawSize: number;
  readonly headerOffset: number;
  /** Absent for a section that takes the place of one in the stub. */
  readonly virtualAddress: number | undefined;
}

interface Plan {
  readonly placements: readonly Placement[];
  readonly fileSize: number;
  readonly sizeOfImage: number;
}

/**
 * Appends sections to a stub in the given order, byte for byte as ukify of systemd 262 does.
 *
 * A section with the name of one in the stub (`.sbat`) takes its place. Copies each content once.
 *
 * @throws {FormatError} `pe.…`, `uki.stub.signed`, `uki.stub.subsystem`, `uki.stub.header-space`,
 *   `uki.section.name`, `uki.section.duplicate`, `uki.section.too-large` (does not fit the stub's own section),
 *   `uki.image.too-large`, `uki.kernel.machine`
 */
export function assembleUki(stubBytes: Uint8Array, sections: readonly UkiSection[]): Uint8Array {
  for (const { name } of sections) requireSectionName(name);
  requireDistinctSections(sections.map(({ name }) => name));
  const stub = prepareStub(stubBytes);
  const plan = planSections(stub, sections);

  const out = Buffer.alloc(plan.fileSize);
  out.set(stub.bytes);
  for (const placement of plan.placements) writeSection(out, placement);
  writeHeaders(out, stub, plan);
  return out;
}

function planSections(stub: Pe, sections: readonly UkiSection[]): Plan {
  const { fileAlignment, sectionAlignment } = stub;
  const own = stub.sections;
  const last = own.at(-1);
  let count = own.length;
  let memoryEnd = last === undefined ? 0 : last.virtualAddress + last.virtualSize;
  let fileEnd = stub.bytes.length;

  const placements = sections.map((section): Placement => {
    const size = sectionSize(section);
    const headerOffset = stub.sectionTableOffset + count * SECTION.size;
    // ukify asks for a free header even where it then reuses the stub's, and so fails for the same stubs.
    if (headerOffset + SECTION.size > stub.sizeOfHeaders) throw noHeaderSpace(stub, section, headerOffset);
    const slot = own.find(({ name }) => name === section.name && name !== ".dtbauto");
    if (slot !== undefined) {
      requireFits(slot, size);
      if (slot === last && count === own.length) memoryEnd = slot.virtualAddress + size;
      return { section, size, headerOffset: slot.headerOffset, virtualAddress: undefined, ...rawPlace(slot) };
    }
    const rawOffset = alignUp(fileEnd, fileAlignment);
    const rawSize = alignUp(size, fileAlignment);
    const virtualAddress = alignUp(memoryEnd, sectionAlignment);
    count += 1;
    fileEnd = rawOffset + rawSize;
    memoryEnd = virtualAddress + size;
    if (fileEnd > 0xffff_ffff || alignUp(memoryEnd, sectionAlignment) > 0xffff_ffff) throw imageTooLarge(section);
    return { section, size, headerOffset, virtualAddress, rawOffset, rawSize };
  });
  return { placements, fileSize: fileEnd, sizeOfImage: alignUp(memoryEnd, sectionAlignment) };
}

const rawPlace = ({ rawOffset, rawSize }: PeSection) => ({ rawOffset, rawSize });

function writeSection(out: Buffer, placement: Placement): void {
  const { section, size, headerOffset, virtualAddress, rawOffset, rawSize } = placement;
  let at = rawOffset;
  for (const part of section.content) {
    out.set(part, at);
    at += part.length;
  }
  out.writeUInt32LE(size, headerOffset + SECTION.virtualSize);
  if (virtualAddress === undefined) {
    out.fill(0, at, rawOffset + rawSize);
    return;
  }
  const characteristics = section.name === ".linux" ? KERNEL_CHARACTERISTICS : DATA_CHARACTERISTICS;
  out.fill(0, headerOffset, headerOffset + SECTION.size);
  out.write(section.name, headerOffset, "latin1");
  out.writeUInt32LE(size, headerOffset + SECTION.virtualSize);
  out.writeUInt32LE(virtualAddress, headerOffset + SECTION.virtualAddress);
  out.writeUInt32LE(rawSize, headerOffset + SECTION.sizeOfRawData);
  out.writeUInt32LE(rawOffset, headerOffset + SECTION.pointerToRawData);
  out.writeUInt32LE(characteristics, headerOffset + SECTION.characteristics);
}

function writeHeaders(out: Buffer, stub: Pe, plan: Plan): void {
  const added = plan.placements.filter(({ virtualAddress }) => virtualAddress !== undefined);
  const addedData = added.reduce((sum, { size }) => sum + size, 0);
  out.writeUInt16LE(stub.sections.length + added.length, stub.coffOffset + COFF.numberOfSections);
  const optional = stub.optionalOffset;
  // The kernel counts as data here too, and SizeOfCode stays the stub's: ukify's choice, which no loader reads.
  out.writeUInt32LE((stub.sizeOfInitializedData + addedData) >>> 0, optional + OPTIONAL.sizeOfInitializedData);
  out.writeUInt32LE(plan.sizeOfImage, optional + OPTIONAL.sizeOfImage);
  out.writeUInt32LE(0, optional + OPTIONAL.checkSum);
  const kernels = plan.placements.filter(({ section }) => section.name === ".linux").map((p) => p.section);
  if (kernels.some((kernel) => !isNxCompatible(kernel, stub))) {
    // Firmware that enforces it would start the UKI, and the kernel inside would fail.
    out.writeUInt16LE(
      stub.dllCharacteristics & ~IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
      optional + OPTIONAL.dllCharacteristics,
    );
  }
}

/** What is not a PE has nothing to say; the stub will refuse to start it. */
function isNxCompatible(kernel: UkiSection, stub: Pe): boolean {
  const bytes = kernel.content.length === 1 && kernel.content[0] ? kernel.content[0] : Buffer.concat(kernel.content);
  if (!isPe(bytes)) return true;
  const pe = parsePe(bytes);
  if (pe.machine !== stub.machine) {
    throw new FormatError("uki.kernel.machine", {
      what: "UKI kernel: Machine",
      expected: `the stub's, ${showMachine(stub.machine)}`,
      found: showMachine(pe.machine),
    });
  }
  return (pe.dllCharacteristics & IMAGE_DLLCHARACTERISTICS_NX_COMPAT) !== 0;
}

function showMachine(machine: number): string {
  const name = Object.entries(MACHINE).find(([, value]) => value === machine)?.[0];
  return `0x${machine.toString(16)}${name === undefined ? "" : ` (${name})`}`;
}

function requireFits(slot: PeSection, size: number): void {
  if (size > slot.rawSize) {
    throw new FormatError("uki.section.too-large", {
      what: `UKI section ${slot.name}, which takes the place of the stub's`,
      offset: slot.rawOffset,
      expected: `at most ${slot.rawSize} bytes`,
      found: `${size} bytes`,
    });
  }
}

function noHeaderSpace(stub: Pe, section: UkiSection, offset: number): FormatError {
  return new FormatError("uki.stub.header-space", {
    what: `UKI stub: section table, entry for ${section.name}`,
    offset,
    expected: `${SECTION.size} bytes within SizeOfHeaders ${stub.sizeOfHeaders}`,
    found: `${Math.max(0, stub.sizeOfHeaders - offset)} left`,
  });
}

function imageTooLarge(section: UkiSection): FormatError {
  return new FormatError("uki.image.too-large", {
    what: `UKI up to section ${section.name}`,
    expected: "less than 4 GiB in file and memory: PE offsets have 32 bits",
    found: "more",
  });
}
