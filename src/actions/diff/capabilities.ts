import { type ByteString, byteString, byteStringToBytes } from "../../lib/bytes/byte-string.ts";
import { viewOf } from "../../lib/bytes/field.ts";

/** File capabilities, as getcap shows them. */
export interface Capabilities {
  /** `cap_net_raw=ep`; hex of the attribute when it is none that the kernel knows. */
  readonly text: string;
}

export const CAPABILITY_XATTR: ByteString = byteString("security.capability");

/** Names by bit. @see Linux include/uapi/linux/capability.h */
const NAMES =
  "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore".split(
    " ",
  );

/** VFS_CAP_REVISION_1 to 3: bytes of the attribute, and how many 32-bit words each set has. */
const REVISIONS: Readonly<Record<number, { readonly size: number; readonly words: number }>> = {
  1: { size: 12, words: 1 },
  2: { size: 20, words: 2 },
  3: { size: 24, words: 2 },
};
const EFFECTIVE = 1;

/** Reads a `security.capability` attribute: struct vfs_cap_data or vfs_ns_cap_data, little-endian. */
export function parseCapabilities(value: ByteString): Capabilities {
  const bytes = byteStringToBytes(value);
  const view = viewOf(bytes);
  const magic = bytes.length < 4 ? 0 : view.getUint32(0, true);
  const revision = REVISIONS[magic >>> 24];
  if (revision?.size !== bytes.length) return { text: `0x${Buffer.from(bytes).toString("hex")}` };
  const groups = new Map<string, string[]>();
  for (let bit = 0; bit < revision.words * 32; bit++) {
    const word = 4 + Math.floor(bit / 32) * 8;
    const has = (offset: number): boolean => ((view.getUint32(word + offset, true) >>> (bit % 32)) & 1) === 1;
    const [permitted, inheritable] = [has(0), has(4)];
    if (!permitted && !inheritable) continue;
    const effective = (magic & EFFECTIVE) === 1;
    const flags = `${effective ? "e" : ""}${inheritable ? "i" : ""}${permitted ? "p" : ""}`;
    const group = groups.get(flags) ?? [];
    group.push(`cap_${NAMES[bit] ?? bit}`);
    groups.set(flags, group);
  }
  const text = [...groups].map(([flags, names]) => `${names.join(",")}=${flags}`).join(" ") || "=";
  const root = revision.size === 24 ? ` [rootid=${view.getUint32(20, true)}]` : "";
  return { text: `${text}${root}` };
}
