import { type PeEvidence, verifyPe } from "../../formats/authenticode/index.ts";
import type { SignatureDatabase } from "../../formats/esl/index.ts";
import type { FatVolume } from "../../formats/fat/index.ts";
import type { PartitionTable } from "../../formats/gpt/index.ts";
import type { ByteSource } from "../../lib/bytes/byte-source.ts";
import { equalBytes } from "../../lib/bytes/numbers.ts";
import { SealwrightError, VerificationError } from "../../lib/errors.ts";
import { inFile } from "../../lib/in-file.ts";
import { type EspFile, findEspFile, fold, listEspFiles, readEspFile, readEspHead } from "../../model/disk/esp.ts";
import { ESP, ROOT_TYPES } from "../../model/disk/layout.ts";
import { openEsp } from "../../model/disk/partitions.ts";
import { ARCHITECTURES, type Architecture } from "../../model/os/index.ts";
import { describeSigner } from "../../model/verdict/describe.ts";
import type { DiskVerdictBuilder } from "./verdict.ts";

export interface Esp {
  readonly volume: FatVolume;
  readonly files: readonly EspFile[];
  /** Of the machines it starts, as the root partition says. */
  readonly architectures: readonly Architecture[];
}

/** Opens the ESP and lists its files. */
export function readEsp(disk: ByteSource, table: PartitionTable): Esp {
  const { volume } = openEsp(disk, table);
  const ofRoot = ARCHITECTURES.filter(({ efi }) =>
    table.partitions.some(({ typeGuid }) => equalBytes(typeGuid, ROOT_TYPES[efi])),
  );
  const files = listEspFiles(volume);
  return { volume, files, architectures: ofRoot.length > 0 ? ofRoot : ARCHITECTURES };
}

/** Reads a program on the ESP and verifies that firmware would start it. */
export function verifyProgram({ volume }: Esp, file: EspFile, db: SignatureDatabase): ProvedProgram {
  return inFile(file.path, () => {
    const bytes = readEspFile(volume, file);
    return { bytes, evidence: verifyPe(bytes, { db }) };
  });
}

interface ProvedProgram {
  readonly bytes: Uint8Array;
  readonly evidence: PeEvidence;
}

/** What is judged by a link of its own: boot loaders, and whatever entries start. */
const OWN_LINKS = /^efi\/(?:boot|systemd)\/|^(?:efi\/linux|loader\/addons)\/.*\.efi$/;

/** Every other program: firmware can be told to start any. */
export function verifyPrograms(verdict: DiskVerdictBuilder, esp: Esp, db: SignatureDatabase): void {
  for (const file of esp.files) {
    if (OWN_LINKS.test(fold(file.path)) || !isProgram(esp, file)) continue;
    try {
      verifyProgram(esp, file, db);
    } catch (error) {
      if (!(error instanceof SealwrightError)) throw error;
      verdict.broken("esp", error);
    }
  }
}

/** By its name, or by the two bytes that every PE starts with. */
function isProgram({ volume }: Esp, file: EspFile): boolean {
  if (fold(file.path).endsWith(".efi")) return true;
  return inFile(file.path, () => equalBytes(readEspHead(volume, file, 2), Buffer.from("MZ")));
}

/** The boot loader where firmware looks by itself, and where `bootctl` keeps it; and what else lies beside them. */
export async function verifyBootLoader(verdict: DiskVerdictBuilder, esp: Esp, db: SignatureDatabase): Promise<void> {
  const fallbacks = esp.architectures.map((architecture) => ESP.fallbackLoader(architecture));
  const installed = esp.architectures.map((architecture) => ESP.loader(architecture));
  const present = fallbacks.filter((path) => findEspFile(esp.files, path) !== undefined);
  if (present.length === 0) {
    const expected = fallbacks.join(" or ");
    verdict.broken(
      "boot-loader",
      new VerificationError("disk.boot-loader.missing", `ESP: found no boot loader, expected ${expected}`),
    );
  }
  if (!installed.some((path) => findEspFile(esp.files, path) !== undefined)) {
    const message = `ESP: found no ${installed.join(" or ")}, which bootctl updates`;
    verdict.warn("boot-loader", { code: "disk.boot-loader.not-installed", message });
  }
  for (const file of esp.files.filter(({ path }) => /^efi\/(?:boot|systemd)\//.test(fold(path)))) {
    if (!isProgram(esp, file)) continue;
    await verdict.check(
      "boot-loader",
      () => verifyProgram(esp, file, db),
      ({ evidence }) => `${file.path}, ${describeSigner(evidence)}`,
    );
  }
}
