/** Describes a UKI, an addon or a profile. */
import { computePeChecksum, MACHINE, readCertificateTable } from "../../formats/pe/index.ts";
import {
  type ComposefsArgument,
  findComposefsArguments,
  findText,
  inspectUki,
  parseUki,
  readOsRelease,
  readSbatEntries,
  type SbatEntry,
  type Uki,
  type UkiReport,
} from "../../formats/uki/index.ts";
import { loadPart } from "./inputs.ts";

/** What a profile boots with, its own sections over those of the base. */
export interface UkiProfileFacts {
  readonly number: number;
  readonly id: string | undefined;
  readonly title: string | undefined;
  readonly cmdline: string | undefined;
  readonly composefs: readonly ComposefsArgument[];
  readonly uname: string | undefined;
  readonly osRelease: Readonly<Record<string, string>>;
  readonly sbat: readonly SbatEntry[];
}

export interface UkiFacts {
  readonly kind: Uki["kind"];
  /** PE machine, hex when it has no name here. */
  readonly architecture: string;
  readonly stubVersion: number | undefined;
  /** Entries of the certificate table; what they are worth is another question. */
  readonly signatures: number;
  /** The field, and what it should be; firmware does not care. */
  readonly checksum: { readonly stored: number; readonly computed: number };
  /** At least profile 0. */
  readonly profiles: readonly UkiProfileFacts[];
  /** What `ukify inspect --all --json=pretty` prints. */
  readonly sections: UkiReport;
}

/**
 * @throws {FormatError} `pe.…`, `uki.…` when the file is no UKI, addon or profile, or one that is not sound
 * @throws {NotFoundError} `input.not-found`
 */
export async function inspectUkiFile(path: string): Promise<UkiFacts> {
  const uki = parseUki(await loadPart(path, `UKI ${path}`));
  const { pe } = uki;
  const machine = Object.entries(MACHINE).find(([, value]) => value === pe.machine)?.[0];
  return {
    kind: uki.kind,
    architecture: machine ?? `0x${pe.machine.toString(16)}`,
    stubVersion: uki.stubVersion,
    signatures: readCertificateTable(pe).length,
    checksum: { stored: pe.checksum, computed: computePeChecksum(pe) },
    profiles: Array.from({ length: Math.max(1, uki.profiles.length) }, (_, number) => profileFacts(uki, number)),
    sections: inspectUki(pe),
  };
}

function profileFacts(uki: Uki, number: number): UkiProfileFacts {
  const cmdline = findText(uki, ".cmdline", number);
  return {
    number,
    id: uki.profiles[number]?.id,
    title: uki.profiles[number]?.title,
    cmdline,
    composefs: findComposefsArguments(cmdline ?? ""),
    uname: findText(uki, ".uname", number),
    osRelease: Object.fromEntries(readOsRelease(uki, number)),
    sbat: readSbatEntries(uki, number),
  };
}
