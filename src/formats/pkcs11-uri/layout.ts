/** Classes of objects (RFC 7512 §2.3, "type"). */
export const OBJECT_TYPES = ["public", "private", "cert", "secret-key", "data"] as const;
export type ObjectType = (typeof OBJECT_TYPES)[number];

/** What a URI says; text is decoded. */
export interface Pkcs11Uri {
  /** Label of the token. */
  readonly token?: string;
  readonly manufacturer?: string;
  readonly model?: string;
  /** Serial number of the token. */
  readonly serial?: string;
  /** Label of the object, CKA_LABEL. */
  readonly object?: string;
  /** CKA_ID: bytes, not text. */
  readonly id?: Uint8Array;
  readonly type?: ObjectType;
  readonly slotId?: number;
  readonly slotDescription?: string;
  readonly slotManufacturer?: string;
  readonly libraryDescription?: string;
  readonly libraryManufacturer?: string;
  /** `MAJOR` or `MAJOR.MINOR`. */
  readonly libraryVersion?: string;
  /** `file:PATH` or a path where the PIN is, or `|PROGRAM`. */
  readonly pinSource?: string;
  readonly pinValue?: string;
  readonly moduleName?: string;
  readonly modulePath?: string;
}

type Kind = "text" | "bytes" | "type" | "number" | "version";

export interface Attribute {
  readonly member: keyof Pkcs11Uri;
  readonly kind: Kind;
}

/** RFC 7512 §2.3, in the order in which they are written. */
export const PATH_ATTRIBUTES: ReadonlyMap<string, Attribute> = new Map([
  ["library-manufacturer", { member: "libraryManufacturer", kind: "text" }],
  ["library-description", { member: "libraryDescription", kind: "text" }],
  ["library-version", { member: "libraryVersion", kind: "version" }],
  ["slot-manufacturer", { member: "slotManufacturer", kind: "text" }],
  ["slot-description", { member: "slotDescription", kind: "text" }],
  ["slot-id", { member: "slotId", kind: "number" }],
  ["model", { member: "model", kind: "text" }],
  ["manufacturer", { member: "manufacturer", kind: "text" }],
  ["serial", { member: "serial", kind: "text" }],
  ["token", { member: "token", kind: "text" }],
  ["id", { member: "id", kind: "bytes" }],
  ["object", { member: "object", kind: "text" }],
  ["type", { member: "type", kind: "type" }],
]);

export const QUERY_ATTRIBUTES: ReadonlyMap<string, Attribute> = new Map([
  ["module-name", { member: "moduleName", kind: "text" }],
  ["module-path", { member: "modulePath", kind: "text" }],
  ["pin-source", { member: "pinSource", kind: "text" }],
  ["pin-value", { member: "pinValue", kind: "text" }],
]);

/** Longest URI taken. Safety limit, not a format rule: the fields of PKCS #11 have 64 bytes at most. */
export const MAX_URI_LENGTH = 4096;
