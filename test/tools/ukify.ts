import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DebianFile, unpackDebianFile } from "./debian-file.ts";

const pool = "pool/main/s/systemd";

/** The version whose bytes we write. 257 of trixie has neither `.efifw` nor profiles in `inspect --json`. */
const UKIFY: DebianFile = {
  path: `${pool}/systemd-ukify_262-1_all.deb`,
  sha1: "c54ea85a439c1f1362e31239f8923e4e5224843c",
  sha256: "6c6e253e7de148611f082e49016374a67c7b02fba3110057ed45774beb3a4958",
};

const BOOT_EFI = {
  "262-x64": {
    path: `${pool}/systemd-boot-efi_262-1_amd64.deb`,
    sha1: "c9b33ba00301e962144089ebcf7cb30dc610ff63",
    sha256: "315ae06945f96544d07e5a68cfd5827f6ab452edf80e81cce2309c6e3452c1af",
  },
  "262-aa64": {
    path: `${pool}/systemd-boot-efi_262-1_arm64.deb`,
    sha1: "2883e8b91443f3a45da0c3236755b1aff0a0ee66",
    sha256: "9360e840139837b16eb3912e61896a611b3913087286f8e4dad673976392a73e",
  },
  "252-x64": {
    path: `${pool}/systemd-boot-efi_252.39-1~deb12u2_amd64.deb`,
    sha1: "d4654e8e612a2fe3a9f912e00c8dcb3af76a5307",
    sha256: "8f2b81bdcfafc466882a0cae460272dbf10d8d97c6a3c1c6ea33038c155a2f5e",
  },
} as const satisfies Record<string, DebianFile>;

/** Path of a stub of Debian's systemd-boot-efi. */
export async function stubPath(release: keyof typeof BOOT_EFI, kind: "linux" | "addon"): Promise<string> {
  const architecture = release.split("-")[1];
  const directory = await unpackDebianFile(BOOT_EFI[release]);
  return join(directory, "usr/lib/systemd/boot/efi", `${kind}${architecture}.efi.stub`);
}

/** The hardware id descriptions of systemd, which are for aarch64 laptops. */
export async function hwidsPath(): Promise<string> {
  return join(await unpackDebianFile(UKIFY), "usr/lib/systemd/boot/hwids/aa64");
}

export interface UkifyRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs ukify with the machine's own Python and python3-pefile. */
export async function runUkify(args: readonly string[]): Promise<UkifyRun> {
  const ukify = join(await unpackDebianFile(UKIFY), "usr/bin/ukify");
  const { status, stdout, stderr } = spawnSync("/usr/bin/python3", [ukify, ...args], { encoding: "utf8" });
  if (stderr.includes("No module named 'pefile'")) throw new Error("python3-pefile is not installed");
  return { status, stdout, stderr };
}

/** Builds with ukify; `files` are written first, and their names in `args` (`{name}`) become their paths. */
export async function buildWithUkify(
  args: readonly string[],
  files: Readonly<Record<string, Uint8Array>>,
): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), "sealwright-ukify-"));
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
    const placed = args.map((arg) => arg.replaceAll(/\{([\w.-]+)\}/g, (_, name: string) => join(directory, name)));
    const output = join(directory, "output.efi");
    const run = await runUkify(["build", "--hwids=", `--output=${output}`, ...placed]);
    if (run.status !== 0) throw new Error(`ukify ${placed.join(" ")}:\n${run.stderr}`);
    return await readFile(output);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
