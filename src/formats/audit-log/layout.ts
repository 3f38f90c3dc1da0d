export const AUDIT_SCHEMA = "sealwright.audit-entry";
export const HEAD_SCHEMA = "sealwright.audit-head";
export const AUDIT_VERSION = 1;

/** Safety limit: an entry has the facts of one request, some KiB. */
export const MAX_LINE_SIZE = 256 << 10;

export const MAX_HEAD_SIZE = 4096;

/** `previous` of the first entry. */
export const NO_PREVIOUS = "0".repeat(64);
