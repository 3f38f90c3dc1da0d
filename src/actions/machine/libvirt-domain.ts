import { basename, resolve } from "node:path";
import { UsageError } from "../../lib/errors.ts";
import { loadDiskKind } from "../../model/machine/disk-kind.ts";
import { descriptorDirectories, findFirmware } from "../../model/machine/firmware.ts";

export interface DomainOptions {
  readonly config: string;
  readonly name?: string | undefined;
  readonly memory?: number | undefined;
  readonly cpus?: number | undefined;
  /** A variable store with keys enrolled, as `keys enroll` makes it; libvirt copies it for the domain. */
  readonly store?: string | undefined;
}

/**
 * The libvirt domain of a disk: the same machine as `vm run` starts, for those who have libvirt.
 *
 * @see libvirt.org/formatdomain.html
 */
export async function libvirtDomain(disk: string, options: DomainOptions): Promise<string> {
  const { architecture, format } = await loadDiskKind(disk);
  if (options.store === undefined) {
    throw new UsageError("machine.domain.no-store", "a libvirt domain needs a variable store with your keys", {
      hint: "make one with sealwright keys enroll, and name it with --store",
    });
  }
  const firmware = await findFirmware(architecture, descriptorDirectories(options.config));
  const isX86 = architecture === "x86_64";
  const name = options.name ?? basename(disk).replace(/\..*$/, "");
  const secure = firmware.requiresSmm ? ` secure="yes"` : "";
  // libvirt knows the attribute since 9.2, and takes raw without it.
  const codeFormat = firmware.codeFormat === "raw" ? "" : ` format="${firmware.codeFormat}"`;
  return `<domain type="kvm">
  <name>${escapeXml(name)}</name>
  <memory unit="MiB">${options.memory ?? 1024}</memory>
  <vcpu>${options.cpus ?? 2}</vcpu>
  <os>
    <type arch="${architecture}" machine="${isX86 ? "q35" : "virt"}">hvm</type>
    <loader readonly="yes"${secure} type="pflash"${codeFormat}>${escapeXml(firmware.code)}</loader>
    <nvram template="${escapeXml(resolve(options.store))}"/>
  </os>
  <features>
    <acpi/>${firmware.requiresSmm ? `\n    <smm state="on"/>` : ""}
  </features>
  <cpu mode="host-passthrough"/>
  <devices>
    <disk type="file" device="disk">
      <driver name="qemu" type="${format}"/>
      <source file="${escapeXml(resolve(disk))}"/>
      <target dev="vda" bus="virtio"/>
      <boot order="1"/>
    </disk>
    <interface type="user">
      <model type="virtio"/>
    </interface>
    <serial type="pty"/>
    <console type="pty"/>
    <tpm model="${isX86 ? "tpm-crb" : "tpm-tis"}">
      <backend type="emulator" version="2.0"/>
    </tpm>
    <rng model="virtio">
      <backend model="random">/dev/urandom</backend>
    </rng>
  </devices>
</domain>
`;
}

const XML: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const escapeXml = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => XML[character] ?? "");
