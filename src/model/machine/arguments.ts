import type { Architecture, Firmware } from "./firmware.ts";

export type Accelerator = "kvm" | "tcg";

/** A virtual machine, as QEMU is told about it. */
export interface MachineConfig {
  readonly name: string;
  readonly architecture: Architecture;
  readonly accelerator: Accelerator;
  /** MiB. */
  readonly memory: number;
  readonly cpus: number;
  readonly firmware: Firmware;
  /** This machine's own copy of the variable store. */
  readonly store: string;
  readonly storeFormat: "raw" | "qcow2";
  readonly disk: string;
  readonly diskFormat: "raw" | "qcow2";
  /** Writes go to a temporary file that nobody else sees. */
  readonly snapshot: boolean;
  /** More disks, which the guest can only read. */
  readonly moreDisks?: readonly ReadOnlyDisk[] | undefined;
  /** Socket of QEMU's monitor (QMP). */
  readonly monitor: string;
  /** Control socket of the TPM, if there is one. */
  readonly tpm: string | undefined;
  /** A file that gets the serial console, or the terminal. */
  readonly serial: { readonly log: string; readonly terminal: boolean };
  /** A file that gets a second serial port, if the machine has one. */
  readonly report?: string | undefined;
  /** Forwards a free port of the loopback address to the guest's SSH. */
  readonly network: boolean;
  /** More ports that lead into the guest. */
  readonly publish?: readonly PublishedPort[] | undefined;
  /** systemd credentials by name. */
  readonly credentials: ReadonlyMap<string, Uint8Array>;
}

/** A TCP port of ours that leads to one of the guest. */
export interface PublishedPort {
  readonly address: string;
  readonly host: number;
  readonly guest: number;
}

export interface ReadOnlyDisk {
  readonly path: string;
  /** At most 20 characters; the guest finds the disk at `/dev/disk/by-id/virtio-NAME`. */
  readonly name: string;
}

/**
 * The command line of QEMU for a machine.
 *
 * @see QEMU docs/system/invocation; systemd.exec(5) and systemd(1) for `io.systemd.credential.binary:`
 */
export function qemuArguments(config: MachineConfig): [string, ...string[]] {
  const options = [
    ["-name", escapeOption(config.name), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    machineOptions(config),
    ["-smp", String(config.cpus), "-m", String(config.memory)],
    flashOptions(config),
    diskOptions(config),
    ["-device", "virtio-rng-pci"],
    ["-qmp", `unix:${escapeOption(config.monitor)},server=on,wait=off`],
    serialOptions(config),
    tpmOptions(config),
    networkOptions(config),
    [...config.credentials].flatMap(([name, value]) => ["-smbios", `type=11,value=${credential(name, value)}`]),
  ];
  return [`qemu-system-${config.architecture}`, ...options.flat()];
}

function machineOptions({ accelerator, architecture, firmware }: MachineConfig): string[] {
  // qemu64 has no vector units, which are slow to emulate: a boot takes 19 s with it and 26 s with "max".
  const emulated = architecture === "x86_64" ? "qemu64" : "cortex-a57";
  const cpu = accelerator === "kvm" ? "host" : emulated;
  const accel = accelerator === "kvm" ? "kvm" : "tcg,thread=multi,tb-size=512";
  if (architecture === "aarch64") return ["-machine", "virt", "-accel", accel, "-cpu", cpu];
  return [
    ["-machine", `q35,smm=${firmware.requiresSmm ? "on" : "off"}`, "-accel", accel, "-cpu", cpu],
    firmware.requiresSmm ? ["-global", "driver=cfi.pflash01,property=secure,value=on"] : [],
    // Secure builds of OVMF refuse to start when they find a suspend state that they cannot protect.
    ["-global", "ICH9-LPC.disable_s3=1"],
  ].flat();
}

function flashOptions({ firmware, store, storeFormat }: MachineConfig): string[] {
  const code = `if=pflash,unit=0,format=${firmware.codeFormat},readonly=on,file=${escapeOption(firmware.code)}`;
  return ["-drive", code, "-drive", `if=pflash,unit=1,format=${storeFormat},file=${escapeOption(store)}`];
}

function diskOptions({ disk, diskFormat, moreDisks = [], snapshot }: MachineConfig): string[] {
  const volatile = snapshot ? ",snapshot=on,cache=unsafe" : "";
  const drive = `if=none,id=disk0,format=${diskFormat},file=${escapeOption(disk)}${volatile}`;
  const more = moreDisks.flatMap(({ name, path }, index) => {
    const id = `disk${index + 1}`;
    const file = `if=none,id=${id},format=raw,readonly=on,file=${escapeOption(path)}`;
    return ["-drive", file, "-device", `virtio-blk-pci,drive=${id},serial=${escapeOption(name)}`];
  });
  return ["-drive", drive, "-device", "virtio-blk-pci,drive=disk0,bootindex=0", ...more];
}

/** The second serial port as the guest's kernel calls it: the console of `virt` is no 8250, and not counted with them. */
export const REPORT_TTY: Readonly<Record<Architecture, string>> = { x86_64: "/dev/ttyS1", aarch64: "/dev/ttyS0" };

function serialOptions({ architecture, report, serial }: MachineConfig): string[] {
  const log = escapeOption(serial.log);
  const backend = serial.terminal ? `stdio,id=serial0,mux=on,signal=off,logfile=${log}` : `file,id=serial0,path=${log}`;
  const console = ["-chardev", backend, "-serial", "chardev:serial0"];
  if (report === undefined) return console;
  // Older machines of the type virt have one port only.
  const port = architecture === "x86_64" ? ["-serial", "chardev:serial1"] : ["-device", "pci-serial,chardev=serial1"];
  return [...console, "-chardev", `file,id=serial1,path=${escapeOption(report)}`, ...port];
}

function tpmOptions({ architecture, tpm }: MachineConfig): string[] {
  if (tpm === undefined) return [];
  const device = architecture === "x86_64" ? "tpm-crb,tpmdev=tpm0" : "tpm-tis-device,tpmdev=tpm0";
  const backend = ["-chardev", `socket,id=tpm0,path=${escapeOption(tpm)}`, "-tpmdev", "emulator,id=tpm0,chardev=tpm0"];
  return [...backend, "-device", device];
}

function networkOptions({ network, publish = [] }: MachineConfig): string[] {
  if (!network) return [];
  const device = "virtio-net-pci,netdev=net0,romfile=";
  const forwards = [{ address: "127.0.0.1", host: 0, guest: 22 }, ...publish].map(
    ({ address, guest, host }) => `,hostfwd=tcp:${escapeOption(address)}:${host}-:${guest}`,
  );
  return ["-netdev", `user,id=net0${forwards.join("")}`, "-device", device];
}

/** The SMBIOS type 11 string in which systemd finds a credential. */
export function credential(name: string, value: Uint8Array): string {
  return `io.systemd.credential.binary:${name}=${Buffer.from(value).toString("base64")}`;
}

/** In QEMU's options a comma ends a value, and two of them are one. */
const escapeOption = (text: string): string => text.replaceAll(",", ",,");
