/** Names and limits of signing requests. */

export const REQUEST_SCHEMA = "sealwright.signing-request";
export const APPROVAL_SCHEMA = "sealwright.approval";

/** The one version of both there is. */
export const SCHEMA_VERSION = 1;

/** Where things are in the directory of a request. */
export const REQUEST_FILE = "request.json";
export const FILES = "files";
export const TO_BE_SIGNED = "to-be-signed";
export const SIGNATURES = "signatures";
export const APPROVALS = "approvals";

/** Roles of what is a PE file, in the order in which firmware starts them. */
export const PE_ROLES = ["boot-loader", "uki", "addon"] as const;
export type PeRole = (typeof PE_ROLES)[number];

/** A statement about PCR 11 that goes into `.pcrsig`; no PE file. */
export const PCR_ROLE = "pcr-policy";

/** What is signed has to be signed before what holds it. */
export const ROUNDS = ["boot-loader", "pcr-policies", "image"] as const;

/** Safety limit: a request with sixteen PCR policies has 15 KiB. */
export const MAX_REQUEST_SIZE = 1 << 20;

/** Safety limit: an approval has less than 1 KiB. */
export const MAX_APPROVAL_SIZE = 16 << 10;

/** Safety limit: boot loader, UKI, some addons, and PCR policies for four banks and four phases. */
export const MAX_ITEMS = 64;

/** Safety limit: UKIs have some hundred MiB at most. */
export const MAX_FILE_SIZE = 1 << 30;

/** Safety limit: signed attributes have 125 bytes, those of PCR policies 64. */
export const MAX_TO_BE_SIGNED_SIZE = 4096;

/** Safety limit for text; the stub takes no longer command line. */
export const MAX_TEXT_LENGTH = 4096;

/** Names of items, and of their files: one component of a path, which never starts with a dot. */
export const ITEM_NAME = /^[A-Za-z0-9_][A-Za-z0-9._+~^=-]{0,199}$/;

/** Names of approvers appear in file names, logs and policies. */
export const APPROVER_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
