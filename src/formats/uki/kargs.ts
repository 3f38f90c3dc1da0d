import { parse, TomlError } from "smol-toml";
import { FormatError, quote } from "../../lib/errors.ts";
import { MACHINE } from "../pe/index.ts";
import { parseCommandLine } from "./cmdline.ts";

/** Architecture names of kargs.d: those of Rust, never Debian's or Go's. */
export type KargsArchitecture = "x86_64" | "aarch64" | "riscv64" | "x86";

const ARCHITECTURES: Readonly<Record<keyof typeof MACHINE, KargsArchitecture>> = {
  amd64: "x86_64",
  arm64: "aarch64",
  riscv64: "riscv64",
  i386: "x86",
};

/** The kargs.d name of a PE machine. */
export function kargsArchitecture(machine: number): KargsArchitecture | undefined {
  const names = Object.keys(MACHINE) as (keyof typeof MACHINE)[];
  const name = names.find((candidate) => MACHINE[candidate] === machine);
  return name && ARCHITECTURES[name];
}

/**
 * Reads one file of `/usr/lib/bootc/kargs.d`: the kernel parameters for an architecture, in order.
 *
 * @param what names the file in messages
 * @returns no parameters when `match-architectures` names others
 * @throws {FormatError} `uki.kargs.toml`, `uki.kargs.key` (unknown, missing or of the wrong kind)
 * @see bootc documentation, "Kernel arguments"
 */
export function parseKargsToml(bytes: Uint8Array, architecture: string, what = "kargs.d file"): string[] {
  const document = parseToml(bytes, what);
  const unknown = Object.keys(document).find((key) => key !== "kargs" && key !== "match-architectures");
  if (unknown !== undefined) throw wrongKey(what, '"kargs" and "match-architectures" only', unknown);
  const kargs = stringArray(document["kargs"]);
  if (kargs === undefined) throw wrongKey(what, '"kargs", an array of strings', show(document["kargs"]));
  const architectures = stringArray(document["match-architectures"] ?? [architecture]);
  if (architectures === undefined) {
    throw wrongKey(what, '"match-architectures", an array of strings', show(document["match-architectures"]));
  }
  if (!architectures.includes(architecture)) return [];
  return kargs.flatMap((item) => parseCommandLine(item).map(({ text }) => text));
}

function parseToml(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  try {
    return parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes), { maxDepth: 16 });
  } catch (cause) {
    // TypeError is what the decoder throws for bytes that are no UTF-8.
    if (!(cause instanceof TomlError) && !(cause instanceof TypeError)) throw cause;
    const found = quote(cause.message.split("\n", 1)[0] ?? "");
    throw new FormatError("uki.kargs.toml", { what, expected: "TOML 1.0", found }, { cause });
  }
}

function stringArray(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
}

const show = (value: unknown): string => (value === undefined ? "no such key" : quote(JSON.stringify(value)));

function wrongKey(what: string, expected: string, found: string): FormatError {
  return new FormatError("uki.kargs.key", { what, expected, found: found.startsWith('"') ? found : quote(found) });
}
