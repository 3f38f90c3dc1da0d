import { readdir } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { FormatError, NotFoundError } from "../../lib/errors.ts";
import { exists, loadFile } from "../host-io/files.ts";

export type Architecture = "x86_64" | "aarch64";

/** Firmware for a virtual machine: the program, and the variable store that each machine gets a copy of. */
export interface Firmware {
  readonly code: string;
  readonly codeFormat: "raw" | "qcow2";
  readonly store: string;
  /** The store is safe from the guest only in system management mode. */
  readonly requiresSmm: boolean;
}

const Mapping = v.object({ filename: v.string(), format: v.optional(v.picklist(["raw", "qcow2"]), "raw") });

/** QEMU docs/interop/firmware.json: the members that are looked at. */
const Descriptor = v.object({
  mapping: v.object({
    device: v.string(),
    executable: v.optional(Mapping),
    "nvram-template": v.optional(Mapping),
  }),
  targets: v.array(v.object({ architecture: v.string(), machines: v.array(v.string()) })),
  features: v.array(v.string()),
});

/** Where Debian has firmware with Secure Boot whose descriptors are missing or do not say so. */
const KNOWN: Readonly<Record<Architecture, readonly Firmware[]>> = {
  x86_64: [
    {
      code: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
      codeFormat: "raw",
      store: "/usr/share/OVMF/OVMF_VARS_4M.fd",
      requiresSmm: true,
    },
    {
      code: "/usr/share/OVMF/OVMF_CODE.secboot.fd",
      codeFormat: "raw",
      store: "/usr/share/OVMF/OVMF_VARS.fd",
      requiresSmm: true,
    },
  ],
  aarch64: [
    {
      code: "/usr/share/AAVMF/AAVMF_CODE.secboot.fd",
      codeFormat: "raw",
      store: "/usr/share/AAVMF/AAVMF_VARS.fd",
      requiresSmm: false,
    },
    // Debian 12 has one build, which knows Secure Boot, and no store but zeros beside the one with Microsoft's keys:
    // enrolling replaces those. Its dbx stays.
    {
      code: "/usr/share/AAVMF/AAVMF_CODE.ms.fd",
      codeFormat: "raw",
      store: "/usr/share/AAVMF/AAVMF_VARS.ms.fd",
      requiresSmm: false,
    },
  ],
};

const PACKAGES: Readonly<Record<Architecture, string>> = { x86_64: "ovmf", aarch64: "qemu-efi-aarch64" };

/** The directories of firmware descriptors, the most important first (QEMU docs/interop/firmware.json). */
export function descriptorDirectories(configHome: string): readonly string[] {
  return [join(configHome, "qemu/firmware"), "/etc/qemu/firmware", "/usr/share/qemu/firmware"];
}

/**
 * Finds firmware that enforces Secure Boot and comes without keys of others.
 *
 * A descriptor hides those of the same file name in less important directories; an empty one hides them all.
 *
 * @throws {NotFoundError} `machine.firmware.not-found`
 * @throws {FormatError} `machine.firmware.descriptor`
 */
export async function findFirmware(architecture: Architecture, directories: readonly string[]): Promise<Firmware> {
  const paths = new Map<string, string>();
  for (const directory of directories) {
    const names = await readdir(directory).catch(() => [] as string[]);
    for (const name of names) {
      if (name.endsWith(".json") && !paths.has(name)) paths.set(name, join(directory, name));
    }
  }
  for (const [, path] of [...paths].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const firmware = await readDescriptor(path, architecture);
    if (firmware !== undefined && (await isInstalled(firmware))) return firmware;
  }
  for (const firmware of KNOWN[architecture]) if (await isInstalled(firmware)) return firmware;
  throw new NotFoundError(
    "machine.firmware.not-found",
    `no firmware with Secure Boot for ${architecture} virtual machines is installed`,
    { hint: `install the package ${PACKAGES[architecture]}` },
  );
}

/** Safety limit; descriptors have about 1 KiB. */
const MAX_DESCRIPTOR_SIZE = 64 * 1024;

async function readDescriptor(path: string, architecture: Architecture): Promise<Firmware | undefined> {
  const bytes = await loadFile(path, "firmware descriptor", MAX_DESCRIPTOR_SIZE, "machine.firmware.descriptor");
  if (bytes.length === 0) return undefined;
  const { mapping, targets, features } = parseDescriptor(path, Buffer.from(bytes).toString("utf8"));
  const machine = architecture === "x86_64" ? /^pc-q35/ : /^virt/;
  const fits = targets.some((each) => each.architecture === architecture && each.machines.some((m) => machine.test(m)));
  const { device, executable, "nvram-template": template } = mapping;
  if (!fits || device !== "flash" || executable === undefined || template === undefined) return undefined;
  if (!features.includes("secure-boot") || features.includes("enrolled-keys")) return undefined;
  return {
    code: executable.filename,
    codeFormat: executable.format,
    store: template.filename,
    requiresSmm: features.includes("requires-smm"),
  };
}

function parseDescriptor(path: string, text: string): v.InferOutput<typeof Descriptor> {
  try {
    return v.parse(Descriptor, JSON.parse(text));
  } catch (cause) {
    throw new FormatError(
      "machine.firmware.descriptor",
      {
        what: `firmware descriptor ${path}`,
        expected: "the form of QEMU docs/interop/firmware.json",
        found: "another",
      },
      { cause },
    );
  }
}

const isInstalled = async ({ code, store }: Firmware): Promise<boolean> =>
  (await exists(code)) && (await exists(store));
