import { type FileHandle, open } from "node:fs/promises";
import { removeSignatures, signPe } from "../../formats/authenticode/index.ts";
import { parsePe } from "../../formats/pe/index.ts";
import { UnsupportedError } from "../../lib/errors.ts";
import { openEphemeralSigner } from "../../model/signing/ephemeral-signer.ts";
import type { PlacedProgram, SealedDisk } from "./sealed-disk.ts";

/** Changes a disk, and takes the changes back. */
export class DiskEditor implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #before: { readonly offset: number; readonly bytes: Uint8Array }[] = [];

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** @param path a raw image */
  static async open(path: string): Promise<DiskEditor> {
    return new DiskEditor(await open(path, "r+"));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const before = Buffer.alloc(bytes.length);
    await this.#handle.read(before, 0, before.length, offset);
    this.#before.push({ offset, bytes: before });
    await this.#handle.write(bytes, 0, bytes.length, offset);
  }

  async flipBit(offset: number): Promise<void> {
    const byte = Buffer.alloc(1);
    await this.#handle.read(byte, 0, 1, offset);
    await this.write(offset, Uint8Array.of((byte[0] ?? 0) ^ 1));
  }

  async undo(): Promise<void> {
    for (const { bytes, offset } of this.#before.splice(0).reverse()) {
      await this.#handle.write(bytes, 0, bytes.length, offset);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.undo();
    await this.#handle.close();
  }
}

/** Where a change has to be caught. */
export type CaughtBy =
  /** The boot does not get to user space, for one of these reasons. */
  | { readonly kind: "refused"; readonly codes: readonly string[] }
  /** The system runs, and reading the changed file fails with this message of the system. */
  | { readonly kind: "read-error"; readonly message: string };

export interface TamperCase {
  readonly name: string;
  readonly title: string;
  readonly caughtBy: CaughtBy;
  /** @throws {UnsupportedError} when it does not fit this disk */
  readonly apply: (editor: DiskEditor, disk: SealedDisk, tools: TamperTools) => Promise<void>;
}

export interface TamperTools {
  readonly now: Date;
  readonly randomBytes: (size: number) => Uint8Array;
}

const UKI_REFUSED: CaughtBy = { kind: "refused", codes: ["machine.refused.uki"] };
const LOADER_REFUSED: CaughtBy = { kind: "refused", codes: ["machine.refused.boot-loader"] };
const IMAGE_REFUSED: CaughtBy = { kind: "refused", codes: ["machine.refused.image", "machine.kernel-panic"] };

/** What somebody with the disk in their hands could try, from the last link of the chain to the first. */
export const TAMPER_CASES: readonly TamperCase[] = [
  {
    name: "object",
    title: "one bit of a file's object",
    caughtBy: { kind: "read-error", message: "Input/output error" },
    async apply(editor, { victim }) {
      if (victim === undefined)
        throw new UnsupportedError("machine.tamper.no-victim", "no file of the tree can be spared");
      await editor.flipBit(victim.object.place(0));
    },
  },
  {
    name: "image",
    title: "one bit of the EROFS image's superblock",
    caughtBy: IMAGE_REFUSED,
    // The superblock is at byte 1024.
    apply: (editor, { image }) => editor.flipBit(image.place(1024)),
  },
  ...[".cmdline", ".initrd", ".linux"].map(
    (section): TamperCase => ({
      name: `uki-${section.slice(1)}`,
      title: `one bit of the UKI's ${section}`,
      caughtBy: UKI_REFUSED,
      apply: (editor, { uki }) => editor.flipBit(uki.place(middleOf(uki, section))),
    }),
  ),
  {
    name: "uki-unsigned",
    title: "the UKI without its signature",
    caughtBy: UKI_REFUSED,
    apply: (editor, { uki }) => editor.write(uki.place(parsePe(uki.bytes).certificateEntryOffset), new Uint8Array(8)),
  },
  {
    name: "uki-stranger",
    title: "the UKI signed with a stranger's key",
    caughtBy: UKI_REFUSED,
    apply: (editor, { uki }, tools) => replaceWithStrangers(editor, uki, tools),
  },
  {
    name: "boot-loader",
    title: "one bit of systemd-boot",
    caughtBy: LOADER_REFUSED,
    apply: (editor, { bootLoader }) => editor.flipBit(bootLoader.place(middleOf(bootLoader, ".text"))),
  },
  {
    name: "boot-loader-stranger",
    title: "systemd-boot signed with a stranger's key",
    caughtBy: LOADER_REFUSED,
    apply: (editor, { bootLoader }, tools) => replaceWithStrangers(editor, bootLoader, tools),
  },
];

function middleOf({ bytes, path }: PlacedProgram, name: string): number {
  const section = parsePe(bytes).sections.find((each) => each.name === name);
  if (section === undefined) throw new UnsupportedError("machine.tamper.no-section", `${path}: no section ${name}`);
  return section.rawOffset + Math.floor(Math.min(section.virtualSize, section.rawSize) / 2);
}

/** X.520 ub-common-name. */
const COMMON_NAME_MAX = 64;

/** Issuer and subject of the certificate and the issuer in the signature: each letter of the name is there three times. */
const NAME_COPIES = 3;

/**
 * Signs a program with a new key and puts it in the place of the one that is there. Files on the ESP keep their size, so
 * the stranger's name is made as long as it takes.
 */
async function replaceWithStrangers(editor: DiskEditor, program: PlacedProgram, tools: TamperTools): Promise<void> {
  const bare = removeSignatures(program.bytes);
  for (let length = 12, tries = 0; length >= 1 && length <= COMMON_NAME_MAX && tries < 16; tries++) {
    const signed = await signAsStranger(
      bare,
      "a stranger with a key".padEnd(length, " of many").slice(0, length),
      tools,
    );
    const missing = program.bytes.length - signed.length;
    if (missing === 0) return await writeProgram(editor, program, signed);
    length += Math.sign(missing) * Math.max(1, Math.floor(Math.abs(missing) / NAME_COPIES));
  }
  throw new UnsupportedError(
    "machine.tamper.size",
    `${program.path}: no stranger's signature has the size of this one`,
  );
}

async function signAsStranger(bytes: Uint8Array, commonName: string, tools: TamperTools): Promise<Uint8Array> {
  await using stranger = await openEphemeralSigner({
    subject: { commonName },
    serial: BigInt(`0x40${Buffer.from(tools.randomBytes(15)).toString("hex")}`),
    notBefore: tools.now,
    notAfter: new Date(tools.now.getTime() + 24 * 3600 * 1000),
    use: "signature",
  });
  return await signPe(bytes, stranger, { signingTime: tools.now });
}

const CHUNK = 512; // a sector: clusters are multiples of it

/** Writes what differs. */
async function writeProgram(editor: DiskEditor, program: PlacedProgram, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += CHUNK) {
    const chunk = bytes.subarray(at, at + CHUNK);
    if (Buffer.compare(chunk, program.bytes.subarray(at, at + CHUNK)) !== 0)
      await editor.write(program.place(at), chunk);
  }
}
