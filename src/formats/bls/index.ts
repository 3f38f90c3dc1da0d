/**
 * Boot loader entries: the `.conf` files in `loader/entries`, the order of the menu, `loader.conf`.
 *
 *     title Small OS 1
 *     version 1
 *     uki /EFI/Linux/bootc/bootc_composefs-<digest>.efi
 *     sort-key bootc-small-0
 *
 * Follows UAPI.1 (Boot Loader Specification), UAPI.10 (versions) and systemd-boot of systemd 262. Not supported: device
 * tree overlays, and what firmware variables say about the entry to start.
 */
export {
  type BootEntry,
  ENTRY_SIZE_MAX,
  type LoaderConf,
  type MenuItem,
  parseBootEntry,
  parseEntryName,
  parseLoaderConf,
} from "./entry.ts";
export { compareMenuItems, findDefault } from "./order.ts";
export { compareVersions } from "./version.ts";
