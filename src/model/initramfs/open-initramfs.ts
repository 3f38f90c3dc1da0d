import { type CpioEntry, type InitramfsCompression, listInitramfs } from "../../formats/cpio/index.ts";
import { CommandError } from "../../lib/errors.ts";
import { runCommand } from "../host-io/command.ts";

/** A part of an initramfs that stayed closed, and so may hold anything. */
export interface ClosedMember {
  readonly compression: InitramfsCompression;
  /** Bytes from the start of the initramfs. */
  readonly offset: number;
  /** Cause code: `command.not-found` where the program for it is not installed here. */
  readonly code: string;
  readonly reason: string;
}

export interface OpenInitramfs {
  /** In the order in which the kernel unpacks them. */
  readonly entries: readonly CpioEntry[];
  readonly closed: readonly ClosedMember[];
}

/** Programs that unpack from standard input what we do not unpack ourselves. */
const UNPACK = {
  xz: ["xz", "-dc"],
  lzma: ["xz", "--format=lzma", "-dc"],
  lz4: ["lz4", "-dc"],
  bzip2: ["bzip2", "-dc"],
  lzo: ["lzop", "-dc"],
} as const satisfies Partial<Record<InitramfsCompression, readonly [string, ...string[]]>>;

/**
 * Opens an initramfs of any compression that the kernel knows: gzip and zstd here, the others with the program of that
 * name where it is installed.
 *
 * @throws {FormatError} as `listInitramfs()`
 * @throws {InterruptedError} when `signal` fires
 */
export async function openInitramfs(
  bytes: Uint8Array,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<OpenInitramfs> {
  const entries: CpioEntry[] = [];
  const closed: ClosedMember[] = [];
  for (const { compression, entries: known, offset, size } of listInitramfs(bytes)) {
    const unpack = compression in UNPACK ? UNPACK[compression as keyof typeof UNPACK] : undefined;
    if (known !== undefined || unpack === undefined) {
      for (const entry of known ?? []) entries.push(entry);
      continue;
    }
    try {
      const stdin = bytes.subarray(offset, offset + size);
      const { stdout } = await runCommand(unpack, { stdin, ...(signal === undefined ? {} : { signal }) });
      for (const member of listInitramfs(stdout)) for (const entry of member.entries ?? []) entries.push(entry);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      closed.push({ compression, offset, code: error.code, reason: error.message });
    }
  }
  return { entries, closed };
}
