import { SealwrightError } from "../../lib/errors.ts";
import { kernelPayload } from "./kernel.ts";

/** Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"; version pointers count from 0x200. */
const BOOT_HEADER = { magic: 0x202, kernelVersion: 0x20e, base: 0x200, versionSize: 128 } as const;

/** Program header type of notes, and the note that holds CONFIG_BUILD_SALT: on distributions, `uname -r`. */
const PT_NOTE = 4;
const LINUX_ELFNOTE_BUILD_SALT = 0x100;

/** The banner in every kernel: `Linux version 6.12.1-1.fc42.x86_64 (mock@…) …`. */
const BANNER = "Linux version ";
/** Longest version looked for. Safety limit: utsname fields have 65 bytes. */
const MAX_VERSION = 256;

/**
 * Finds what `uname -r` will say: in the header of an x86 bzImage, in an ELF note, or in the banner, for which a
 * gzip or zstd kernel is unpacked.
 *
 * @returns undefined when no road leads there, a compression we cannot open included
 */
export function findKernelVersion(kernel: Uint8Array): string | undefined {
  return fromBootHeader(kernel) ?? fromElfNote(kernel) ?? fromBanner(kernel);
}

function fromBootHeader(kernel: Uint8Array): string | undefined {
  const bytes = asBuffer(kernel);
  if (bytes.length < BOOT_HEADER.kernelVersion + 2) return undefined;
  if (bytes.toString("latin1", BOOT_HEADER.magic, BOOT_HEADER.magic + 4) !== "HdrS") return undefined;
  const at = BOOT_HEADER.base + bytes.readUInt16LE(BOOT_HEADER.kernelVersion);
  const text = bytes.toString("latin1", at, at + BOOT_HEADER.versionSize).split("\0", 1)[0] ?? "";
  return /^([a-z0-9._+-]+) \([^ )]+\) #/.exec(text)?.[1];
}

function fromElfNote(kernel: Uint8Array): string | undefined {
  const bytes = asBuffer(kernel);
  // 64-bit little-endian ELF: every machine that UEFI and composefs meet on.
  if (bytes.length < 64 || bytes.toString("hex", 0, 6) !== "7f454c460201") return undefined;
  const headers = Number(bytes.readBigUInt64LE(0x20));
  const headerSize = bytes.readUInt16LE(0x36);
  const count = bytes.readUInt16LE(0x38);
  if (headerSize < 56) return undefined;
  for (let index = 0; index < count; index++) {
    const header = headers + index * headerSize;
    if (header + 56 > bytes.length) return undefined;
    if (bytes.readUInt32LE(header) !== PT_NOTE) continue;
    const offset = Number(bytes.readBigUInt64LE(header + 8));
    const size = Number(bytes.readBigUInt64LE(header + 32));
    const found = buildSalt(bytes.subarray(offset, offset + size));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Notes: {u32 name size, u32 content size, u32 type, name, content}, both padded to 4 bytes. */
function buildSalt(notes: Buffer): string | undefined {
  for (let at = 0; at + 12 <= notes.length; ) {
    const nameSize = notes.readUInt32LE(at);
    const contentSize = notes.readUInt32LE(at + 4);
    const type = notes.readUInt32LE(at + 8);
    const content = at + 12 + Math.ceil(nameSize / 4) * 4;
    if (type === LINUX_ELFNOTE_BUILD_SALT && notes.toString("latin1", at + 12, at + 12 + nameSize) === "Linux\0") {
      const text = notes.toString("latin1", content, content + Math.min(contentSize, MAX_VERSION));
      return text.replace(/\0+$/, "") || undefined;
    }
    at = content + Math.ceil(contentSize / 4) * 4;
  }
  return undefined;
}

function fromBanner(kernel: Uint8Array): string | undefined {
  let payload: Buffer;
  try {
    payload = asBuffer(kernelPayload(kernel));
  } catch (error) {
    if (error instanceof SealwrightError) return undefined;
    throw error;
  }
  for (let at = payload.indexOf(BANNER); at !== -1; at = payload.indexOf(BANNER, at + 1)) {
    const start = at + BANNER.length;
    const version = /^(\d+\.\S+) \(/.exec(payload.toString("latin1", start, start + MAX_VERSION))?.[1];
    if (version !== undefined) return version;
  }
  return undefined;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
