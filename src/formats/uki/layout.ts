/**
 * The sections of a unified kernel image.
 *
 * @see UAPI.5 Unified Kernel Image; systemd-stub(7), systemd-measure(1), ukify(1), all of systemd 262
 */

/** Sections whose content is text for people; `ukify inspect` prints them. */
export const TEXT_SECTIONS: ReadonlySet<string> = new Set([
  ".cmdline",
  ".osrel",
  ".uname",
  ".pcrpkey",
  ".pcrsig",
  ".sbat",
  ".profile",
]);

/** One entry for each kind of hardware, so these may repeat inside a profile; firmware or stub picks one. */
export const REPEATABLE_SECTIONS: ReadonlySet<string> = new Set([".dtbauto", ".efifw"]);

/**
 * What the stub measures into PCR 11, in the order in which it does, whatever the order in the file; each with the
 * first stub version that measures it. `.pcrsig` is never measured: it is made from the measurement.
 */
export const MEASURED_SECTIONS = [
  { name: ".linux", since: 252 },
  { name: ".osrel", since: 252 },
  { name: ".cmdline", since: 252 },
  { name: ".initrd", since: 252 },
  { name: ".ucode", since: 253 },
  { name: ".splash", since: 252 },
  { name: ".dtb", since: 252 },
  { name: ".uname", since: 253 },
  { name: ".sbat", since: 253 },
  { name: ".pcrpkey", since: 252 },
  { name: ".profile", since: 257 },
  { name: ".dtbauto", since: 257 },
  { name: ".hwids", since: 257 },
  { name: ".efifw", since: 258 },
] as const;

/** What a profile PE hands to the UKI it is joined to. */
export const PROFILE_SECTIONS: ReadonlySet<string> = new Set([
  ".linux",
  ".osrel",
  ".cmdline",
  ".initrd",
  ".efifw",
  ".ucode",
  ".splash",
  ".dtb",
  ".uname",
  ".sbat",
  ".profile",
]);

/** A PE without kernel and with one of these is an addon. */
export const ADDON_SECTIONS = [".cmdline", ".dtb", ".initrd", ".ucode"] as const;

/** Profiles that the stub looks at. Format rule: systemd-stub stops there. */
export const MAX_PROFILES = 256;

/** IMAGE_SCN_MEM_READ | IMAGE_SCN_CNT_CODE: old kernels run where the stub lies. Not executable by itself. */
export const KERNEL_CHARACTERISTICS = 0x4000_0020;
/** IMAGE_SCN_MEM_READ | IMAGE_SCN_CNT_INITIALIZED_DATA. */
export const DATA_CHARACTERISTICS = 0x4000_0040;

/** The first line of every SBAT text. */
export const SBAT_HEADER = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md";
/** Generation of the UKI or addon itself, when its maker gives none. */
export const SBAT_DEFAULT_UKI = "uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/";
export const SBAT_DEFAULT_ADDON =
  "uki-addon,1,UKI Addon,addon,1,https://www.freedesktop.org/software/systemd/man/latest/systemd-stub.html";
