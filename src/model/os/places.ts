/** Where kernels and UKIs are in an image. */
export const UKI_DIRECTORY = "/boot/EFI/Linux";
export const ADDON_DIRECTORY = "/boot/loader/addons";
export const ENTRY_DIRECTORY = "/boot/loader/entries";
export const MODULE_DIRECTORY = "/usr/lib/modules";
