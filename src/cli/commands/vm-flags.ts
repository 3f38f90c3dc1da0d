/** Flags that the commands for virtual machines share. */
import { numberFlag, switchFlag, textFlag } from "../flags.ts";

export const diskOrImage = {
  brief: "Disk with a sealed system, raw or qcow2, or an image to build one from",
  parse: String,
  placeholder: "DISK|IMAGE",
} as const;

const PORT_MAX = 65_535;

/** `[ADDRESS:]HOST:GUEST`, on the loopback address unless another one is named. */
export function parsePublish(text: string) {
  const [, ipv6, address = ipv6, host, guest] =
    /^(?:(?:\[([0-9a-f:]+)\]|([^:]+)):)?(\d{1,5}):(\d{1,5})$/i.exec(text) ?? [];
  const ports = [Number(host), Number(guest)];
  if (!ports.every((port) => port >= 1 && port <= PORT_MAX)) {
    throw new SyntaxError(`"${text}" does not have the form [ADDRESS:]HOST:GUEST with ports from 1 to ${PORT_MAX}`);
  }
  return { address: address ?? "127.0.0.1", host: Number(host), guest: Number(guest) };
}

export const publishFlag = {
  kind: "parsed",
  parse: parsePublish,
  optional: true,
  variadic: true,
  brief: "Let a TCP port of this machine lead to one of the guest; repeatable",
  placeholder: "[ADDRESS:]HOST:GUEST",
} as const;

export const memoryFlag = numberFlag("MIB", "Memory (default: 1024)");
export const cpusFlag = numberFlag("N", "Processors (default: 2)");
export const keysFlag = textFlag("DIR", "Enrol PK, KEK and db of this directory; without it Secure Boot is off");
export const tpmFlag = { kind: "boolean", brief: "Give the machine a TPM 2.0 (swtpm)", default: true } as const;
export const emulateFlag = switchFlag("Do not try KVM");

/** Of `emulateFlag`. */
export const acceleratorOf = (emulate: boolean) =>
  emulate ? ({ accelerator: "tcg", reason: "asked for" } as const) : undefined;

/** Seconds of a flag in milliseconds. */
export const toMs = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : seconds * 1000;
