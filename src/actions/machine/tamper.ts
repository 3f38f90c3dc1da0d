import { removeSignatures, signPe } from "../../formats/authenticode/index.ts";
import { parsePe } from "../../formats/pe/index.ts";
import { UnsupportedError } from "../../lib/errors.ts";
import { openEphemeralSigner } from "../../model/signing/ephemeral-signer.ts";
import type { DiskEditor } from "./disk-editor.ts";
import { rewriteEsp } from "./rewrite-esp.ts";
import type { PlacedProgram, SealedDisk } from "./sealed-disk.ts";

/** Where a change has to be caught. */
export type CaughtBy =
  /** The boot does not get to user space, for one of these reasons. */
  | { readonly kind: "refused"; readonly codes: readonly string[] }
  /** The system runs, and reading the changed file fails with this message of the system. */
  | { readonly kind: "read-error"; readonly message: string }
  /** Nothing rests on it: the system runs as it was sealed, and says so. */
  | { readonly kind: "without-effect" };

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
const IMAGE_REFUSED: CaughtBy = { kind: "refused", codes: ["machine.refused.image"] };
/** EIO and ENOENT, as the C library puts them. */
const UNREADABLE: CaughtBy = { kind: "read-error", message: "Input/output error" };
const NOT_THERE: CaughtBy = { kind: "read-error", message: "No such file or directory" };

/** What somebody with the disk in their hands could try, from the last link of the chain to the first. */
export const TAMPER_CASES: readonly TamperCase[] = [
  {
    name: "object",
    title: "one bit of a file's object",
    caughtBy: UNREADABLE,
    apply: (editor, disk) => editor.flipBit(requireVictim(disk).object.place(0)),
  },
  {
    name: "object-verity",
    title: "a file's object without fs-verity",
    caughtBy: UNREADABLE,
    apply: (editor, disk) => editor.patch(requireVictim(disk).object.withoutVerity),
  },
  {
    name: "object-swapped",
    title: "another object in the place of a file's",
    caughtBy: UNREADABLE,
    apply: (editor, disk) => editor.patch(requireSwapped(disk).object),
  },
  {
    name: "object-missing",
    title: "a file's object that is missing",
    caughtBy: NOT_THERE,
    apply: (editor, disk) => editor.patch(requireVictim(disk).object.renamed),
  },
  {
    name: "meta",
    title: "a meta.json without fs-verity that asks for none",
    // The digest is on the signed command line; what the disk says of itself decides nothing.
    caughtBy: { kind: "without-effect" },
    async apply(editor, { meta }) {
      if (meta === undefined) throw new UnsupportedError("machine.tamper.no-meta", "the repository has no meta.json");
      await editor.patch(meta.withoutVerity);
      await editor.write(meta.place(0), Buffer.from('{"version":1}'.padEnd(meta.size, " ")));
    },
  },
  {
    name: "image",
    title: "one bit of the EROFS image's superblock",
    caughtBy: IMAGE_REFUSED,
    // The superblock is at byte 1024.
    apply: (editor, { image }) => editor.flipBit(image.place(1024)),
  },
  {
    name: "image-verity",
    title: "the EROFS image without fs-verity",
    caughtBy: IMAGE_REFUSED,
    apply: (editor, { image }) => editor.patch(image.withoutVerity),
  },
  {
    name: "image-swapped",
    title: "another file in the place of the EROFS image",
    caughtBy: IMAGE_REFUSED,
    apply: (editor, disk) => editor.patch(requireSwapped(disk).image),
  },
  {
    name: "image-missing",
    title: "an EROFS image that is missing",
    caughtBy: IMAGE_REFUSED,
    apply: (editor, { image }) => editor.patch(image.renamed),
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
    name: "entry-stranger",
    title: "the boot entry pointing to a stranger's UKI",
    caughtBy: UKI_REFUSED,
    async apply(editor, disk, tools) {
      const path = "EFI/Linux/bootc/stranger.efi";
      const uki = await signAsStranger(removeSignatures(disk.uki.bytes), "a stranger with a key", tools);
      const text = changeEntry(disk, (line) => line.replace(/^(uki|efi)\s.*$/, `$1 /${path}`));
      await rewriteEsp(editor, disk.esp, new Map([...text, [path, uki]]));
    },
  },
  {
    name: "entry-options",
    title: "the boot entry with a command line of its own",
    // Under Secure Boot the stub goes by the signed command line alone.
    caughtBy: { kind: "without-effect" },
    apply: (editor, disk) =>
      rewriteEsp(
        editor,
        disk.esp,
        changeEntry(disk, (line) => line.replace(/^title.*$/, "$&\noptions init=/bin/sh systemd.unit=rescue.target")),
      ),
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

function requireVictim({ victim }: SealedDisk): NonNullable<SealedDisk["victim"]> {
  if (victim !== undefined) return victim;
  throw new UnsupportedError("machine.tamper.no-victim", "no file of the tree can be spared");
}

function requireSwapped(disk: SealedDisk): NonNullable<SealedDisk["swapped"]> {
  requireVictim(disk);
  return disk.swapped as NonNullable<SealedDisk["swapped"]>;
}

/** @returns the entry that starts the UKI, its lines changed, by its path */
function changeEntry({ entry, esp }: SealedDisk, change: (line: string) => string): Map<string, Uint8Array> {
  const before = entry === undefined ? undefined : esp.files.get(entry);
  if (entry === undefined || before === undefined) {
    throw new UnsupportedError("machine.tamper.no-entry", "systemd-boot finds the UKI by itself: there is no entry");
  }
  const lines = Buffer.from(before).toString("utf8").split("\n").map(change);
  return new Map([[entry, Buffer.from(lines.join("\n"))]]);
}

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
