/** python-uefivars 1.2, pyuefivars/aws.py. */
export const MAGIC = "AMZNUEFI";
export const VERSION = 0;
/** Magic, checksum, version. */
export const HEADER_SIZE = 16;
/** Where what the checksum covers begins. */
export const CHECKED_FROM = 12;

/** EFI_VARIABLE_TIME_BASED_AUTHENTICATED_WRITE_ACCESS: such variables have a time and a digest. */
export const TIME_BASED_AUTHENTICATION = 0x20;
export const TIME_SIZE = 16;
/** Of certificates that may write private authenticated variables; zeros for all others. */
export const DIGEST_SIZE = 32;

/** Characters that EC2 takes in base64 (RegisterImage, UefiData). Format rule. */
export const MAX_UEFI_DATA_SIZE = 64_000;
/** Safety limits, not format rules. */
export const MAX_PLAIN_SIZE = 16 << 20;
export const MAX_VARIABLES = 10_000;
