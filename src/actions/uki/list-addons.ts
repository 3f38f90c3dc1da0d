/** The addons of an image, on a disk, or in a file: for whom, what is in them, who signed them, what they do to a seal. */
import { basename } from "node:path";
import { findText, parseUki, readSbatEntries, type StoredSection } from "../../formats/uki/index.ts";
import { FormatError, NotFoundError, quote } from "../../lib/errors.ts";
import { type AddonProblem, checkAddon } from "../../model/os/index.ts";
import {
  type EfiProgram,
  type LoadProgramsOptions,
  loadPrograms,
  type ProgramSignature,
  signaturesOf,
} from "../../model/programs/index.ts";

export interface AddonReport {
  readonly path: string;
  /** `global`: every UKI takes it. Otherwise the name of the one UKI; absent for a file that lies nowhere in particular. */
  readonly scope?: string;
  readonly size: number;
  readonly signatures: readonly ProgramSignature[];
  readonly commandLine?: string;
  /** The one kernel that it is for. */
  readonly kernel?: string;
  /** What it brings, with the bytes of each. */
  readonly sections: readonly { readonly name: string; readonly size: number }[];
  /** `component,generation`. */
  readonly sbat: readonly string[];
  readonly problems: readonly AddonProblem[];
}

export interface AddonList {
  readonly source: string;
  readonly kind: "image" | "disk" | "file";
  readonly addons: readonly AddonReport[];
}

/**
 * @throws {NotFoundError} `addon.none` when a file that is named is no addon
 * @throws as `loadPrograms`
 */
export async function listAddons(source: string, options: LoadProgramsOptions = {}): Promise<AddonList> {
  const { kind, programs } = await loadPrograms(source, options);
  const found = kind === "file" ? programs : programs.filter(({ role }) => role === "addon");
  return { source, kind, addons: found.map(describeAddon) };
}

/** One addon in a file of its own. */
export async function inspectAddon(path: string): Promise<AddonReport> {
  const { addons, kind } = await listAddons(path);
  const [addon] = addons;
  if (kind !== "file" || addon === undefined) {
    throw new NotFoundError(
      "addon.none",
      `${quote(path)}: found no addon, but ${kind === "image" ? "an image" : "a disk"}`,
      {
        hint: "sealwright uki addon list shows those in an image or on a disk",
      },
    );
  }
  return addon;
}

const PAYLOAD: ReadonlySet<string> = new Set([".cmdline", ".dtb", ".dtbauto", ".efifw", ".hwids", ".initrd", ".ucode"]);

function describeAddon({ bytes, path }: EfiProgram): AddonReport {
  const addon = parseUki(bytes);
  if (addon.kind !== "addon") {
    throw new FormatError("addon.kind", { what: path, expected: "an addon", found: `a ${addon.kind}` });
  }
  const commandLine = findText(addon, ".cmdline")?.trim();
  const kernel = findText(addon, ".uname")?.trim();
  const scope = scopeOf(path);
  return {
    path,
    ...(scope === undefined ? {} : { scope }),
    size: bytes.length,
    signatures: signaturesOf(addon.pe),
    ...(commandLine === undefined ? {} : { commandLine }),
    ...(kernel === undefined ? {} : { kernel }),
    sections: addon.base.filter(({ name }) => PAYLOAD.has(name)).map(toReport),
    sbat: readSbatEntries(addon).map(({ component, generation }) => `${component},${generation}`),
    problems: checkAddon(addon, path),
  };
}

const toReport = ({ content, name }: StoredSection) => ({ name, size: content.length });

/** Directory `NAME.efi.extra.d` is for one UKI, `loader/addons` for all (systemd-stub(7)). */
function scopeOf(path: string): string | undefined {
  const directory = path.slice(0, -basename(path).length).replace(/\/$/, "");
  if (/(?:^|\/)loader\/addons$/i.test(directory)) return "global";
  return /([^/]+\.efi)\.extra\.d$/i.exec(directory)?.[1];
}
