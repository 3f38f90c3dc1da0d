import { open } from "node:fs/promises";
import { throwIfInterrupted } from "../../model/host-io/interrupt.ts";
import { pause } from "../../model/host-io/process.ts";
import { type Diagnosis, diagnose } from "../../model/machine/diagnose.ts";
import type { Machine } from "./start.ts";

export interface WatchOptions {
  /** The watch is over when this says so, with what it found. */
  readonly until: (serial: string) => boolean | Promise<boolean>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export type Outcome =
  | { readonly kind: "reached" }
  | { readonly kind: "refused"; readonly diagnosis: Diagnosis }
  /** QEMU ended: the guest switched itself off, or restarted. */
  | { readonly kind: "ended"; readonly diagnosis: Diagnosis | undefined }
  | { readonly kind: "timeout"; readonly diagnosis: Diagnosis | undefined };

const POLL_MS = 200;
/** Firmware says why it refuses before it says that nothing is left; the rest of the message may still be on its way. */
const SETTLE_MS = 1500;

/** Follows the serial console of a machine until something is decided. The machine is left running. */
export async function watchMachine(machine: Machine, { signal, timeoutMs, until }: WatchOptions): Promise<Outcome> {
  let over = false;
  void machine.ended.then(() => (over = true));
  const started = performance.now();
  let refusedAt: number | undefined;
  for (;;) {
    throwIfInterrupted(signal);
    const ended = over;
    const serial = await loadSerial(machine.serialLog);
    // Asking may take a while by itself.
    if (await until(serial)) return { kind: "reached" };
    const now = performance.now();
    const diagnosis = diagnose(serial);
    if (ended) return { kind: "ended", diagnosis };
    if (diagnosis?.final === true) {
      refusedAt ??= now;
      if (now - refusedAt >= SETTLE_MS) return { kind: "refused", diagnosis };
    }
    if (now - started >= timeoutMs) return { kind: "timeout", diagnosis };
    await pause(POLL_MS, signal);
  }
}

/** Consoles of a boot have some 50 KiB; of one that runs for weeks the end is enough. */
const SERIAL_KEPT = 1 << 20;

/** The end of a serial log; empty before there is one. */
export async function loadSerial(path: string): Promise<string> {
  try {
    await using handle = await open(path, "r");
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.min(size, SERIAL_KEPT));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString("utf8", 0, bytesRead);
  } catch {
    return "";
  }
}

/** Passes on what is added to a file, until `over` says that nothing will come any more. */
export async function* follow(path: string, over: () => boolean, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; ) {
    const last = over() || signal?.aborted === true;
    const bytes = await readFrom(path, offset);
    if (bytes.length > 0) yield bytes;
    offset += bytes.length;
    if (last) return;
    await pause(POLL_MS, signal);
  }
}

async function readFrom(path: string, offset: number): Promise<Uint8Array> {
  try {
    await using handle = await open(path, "r");
    const bytes = Buffer.alloc(Math.min((await handle.stat()).size - offset, SERIAL_KEPT));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
    return bytes.subarray(0, bytesRead);
  } catch {
    return new Uint8Array();
  }
}
