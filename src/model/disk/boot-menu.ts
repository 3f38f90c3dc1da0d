import {
  type BootEntry,
  compareMenuItems,
  ENTRY_SIZE_MAX,
  findDefault,
  type LoaderConf,
  type MenuItem,
  parseBootEntry,
  parseEntryName,
  parseLoaderConf,
} from "../../formats/bls/index.ts";
import type { FatVolume } from "../../formats/fat/index.ts";
import { parseUki, readOsRelease } from "../../formats/uki/index.ts";
import { SealwrightError } from "../../lib/errors.ts";
import type { OsProblem } from "../os/index.ts";
import { type EspFile, findEspFile, fold, readEspFile } from "./esp.ts";
import { ESP } from "./layout.ts";

/** One line of the boot loader's menu. */
export interface MenuEntry extends MenuItem {
  /** The file it comes from: an entry, or a UKI in the directory where systemd-boot looks by itself. */
  readonly path: string;
  /** Absent for what is no entry but a UKI. */
  readonly entry?: BootEntry;
  /** Path of the UKI that it starts, when it starts one. */
  readonly uki?: string;
}

export interface BootMenu {
  readonly conf: LoaderConf | undefined;
  /** In the order of systemd-boot. */
  readonly entries: readonly MenuEntry[];
  /** What starts when nobody chooses. */
  readonly first: MenuEntry | undefined;
  /** Entries that cannot be read, which systemd-boot passes over: codes `bls.*`, `fat.*`, `pe.*`, `uki.*`. */
  readonly problems: readonly OsProblem[];
}

/** systemd-boot looks here, and not below. */
const UKI_DIRECTORY = "efi/linux";

/** Reads what systemd-boot would show. Firmware variables may change what is first. */
export function readBootMenu(volume: FatVolume, files: readonly EspFile[]): BootMenu {
  const problems: OsProblem[] = [];
  const attempt = <T>(path: string, work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof SealwrightError)) throw error;
      problems.push({ code: error.code, message: `${path}: ${error.message}`, path });
      return undefined;
    }
  };
  const entries = files.flatMap((file): MenuEntry[] => {
    const { path } = file;
    const directory = fold(path).slice(0, Math.max(0, path.lastIndexOf("/")));
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (directory === ESP.entries && fold(name).endsWith(".conf")) {
      const entry = attempt(path, () => parseBootEntry(readEspFile(volume, file, ENTRY_SIZE_MAX), name));
      if (entry === undefined) return [];
      const uki = entry.uki ?? entry.efi;
      return [{ ...sortable(entry), path, entry, ...(uki === undefined ? {} : { uki }) }];
    }
    if (directory === UKI_DIRECTORY && fold(name).endsWith(".efi")) {
      const item = attempt(path, () => ({
        ...parseEntryName(name, ".efi"),
        ...describeUki(readEspFile(volume, file)),
      }));
      return item === undefined ? [] : [{ ...item, path, uki: path }];
    }
    return [];
  });
  entries.sort(compareMenuItems);
  const file = findEspFile(files, ESP.loaderConfig);
  const conf = file && attempt(file.path, () => parseLoaderConf(readEspFile(volume, file, ENTRY_SIZE_MAX)));
  return { conf, entries, first: findDefault(entries, conf?.default), problems };
}

function sortable({ id, machineId, sortKey, title, triesDone, triesLeft, version }: BootEntry): MenuItem {
  return Object.fromEntries(
    Object.entries({ id, title, version, machineId, sortKey, triesLeft, triesDone }).filter(
      ([, value]) => value !== undefined,
    ),
  ) as unknown as MenuItem;
}

/** @see systemd src/fundamental/bootspec-fundamental.c, `bootspec_pick_name_version_sort_key()` */
function describeUki(bytes: Uint8Array): Omit<MenuItem, "id"> {
  const release = readOsRelease(parseUki(bytes));
  const pick = (...keys: string[]): string | undefined => keys.map((key) => release.get(key)).find(Boolean);
  const title = pick("PRETTY_NAME", "IMAGE_ID", "NAME", "ID");
  const version = pick("IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID");
  const sortKey = pick("IMAGE_ID", "ID");
  return { ...(title && { title }), ...(version && { version }), ...(sortKey && { sortKey }) };
}
