/** Generations that are not to start any more, by SBAT: for a chain that begins with shim. */

import { parsePe, sectionContent } from "../../formats/pe/index.ts";
import { parseSbat } from "../../formats/uki/index.ts";
import { quote, UsageError } from "../../lib/errors.ts";
import { storeFile } from "../../model/host-io/files.ts";
import { type LoadProgramsOptions, loadPrograms } from "../../model/programs/index.ts";

export interface SbatLevelOptions extends LoadProgramsOptions {
  /** `COMPONENT,GENERATION` each: what is older is stopped. */
  readonly entries: readonly string[];
  /** Images, disks and programs. */
  readonly known: readonly string[];
  /** Where the level goes. */
  readonly output?: string | undefined;
  readonly overwrite?: boolean;
  /** Of the level. */
  readonly date: Date;
}

export interface SbatLevelReport {
  /** The content of SbatLevel. */
  readonly level: string;
  readonly output?: string;
  readonly stopped: readonly {
    readonly name: string;
    readonly path: string;
    readonly component: string;
    readonly generation: number;
    readonly needed: number;
  }[];
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

/**
 * Says which of the known programs shim would not start at this level, and writes it in the form of shim's SbatLevel.
 *
 * Nothing but shim looks at it: firmware, systemd-boot and the stub start every generation.
 *
 * @throws {UsageError} `keys.sbat.entry`; as `loadPrograms`
 * @see shim SBAT.md, "Revocations"
 */
export async function assessSbatLevel(options: SbatLevelOptions): Promise<SbatLevelReport> {
  const { date, known, output, overwrite = false } = options;
  const needed = new Map(options.entries.map(parseEntry));
  const level = [
    `sbat,1,${date.toISOString().slice(0, 10).replaceAll("-", "")}00`,
    ...[...needed].map(([component, generation]) => `${component},${generation}`),
  ];
  const stopped: SbatLevelReport["stopped"][number][] = [];
  for (const name of known) {
    for (const { bytes, path } of (await loadPrograms(name, options)).programs) {
      for (const { component, generation } of sbatOf(bytes, path)) {
        const least = needed.get(component);
        if (least !== undefined && generation < least)
          stopped.push({ name, path, component, generation, needed: least });
      }
    }
  }
  const text = `${level.join("\n")}\n`;
  if (output !== undefined) await storeFile(output, Buffer.from(text), { overwrite });
  const message =
    "only shim enforces SBAT: firmware that starts systemd-boot itself, systemd-boot and the stub ignore it; " +
    "without shim revoke by digest or certificate";
  const warnings = [{ code: "keys.sbat.shim-only", message }];
  return { level: text, ...(output === undefined ? {} : { output }), stopped, warnings };
}

function parseEntry(entry: string): [component: string, generation: number] {
  const [, component, generation] = /^([A-Za-z0-9][\w.-]*),([1-9]\d{0,8})$/.exec(entry) ?? [];
  if (component === undefined || generation === undefined || component === "sbat") {
    throw new UsageError("keys.sbat.entry", `SBAT ${quote(entry)}: expected COMPONENT,GENERATION, such as uki,2`);
  }
  return [component, Number(generation)];
}

function sbatOf(bytes: Uint8Array, path: string) {
  const pe = parsePe(bytes);
  const section = pe.sections.find(({ name }) => name === ".sbat");
  if (section === undefined) return [];
  const text = Buffer.from(sectionContent(pe, section)).toString("latin1").replace(/\0+$/, "");
  return parseSbat(text, `${path}: .sbat`);
}
