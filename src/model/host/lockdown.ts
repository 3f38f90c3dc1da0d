import { loadHostText } from "./host-file.ts";

/**
 * What the kernel keeps even root from: `none`, `integrity` or `confidentiality`.
 *
 * @returns `undefined` where the kernel does not say
 * @see kernel_lockdown(7)
 */
export async function loadLockdown(root: string): Promise<string | undefined> {
  const text = await loadHostText(root, "sys/kernel/security/lockdown", 4096);
  return /\[(\w+)\]/.exec(text ?? "")?.[1];
}
