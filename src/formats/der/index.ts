/**
 * DER, the one-encoding-per-value form of ASN.1 that certificates and signatures are made of.
 *
 *     tag (1 byte)   length (1 to 5 bytes)   content
 *     30             82 01 e7                values again, when bit 0x20 of the tag is set
 *
 * Follows X.690 (02/2021) §8, §10 and §11. The reader refuses what only BER allows: indefinite lengths, lengths and
 * integers with leading zeroes, constructed strings (their tag is another one), booleans other than 00 and ff. The
 * order of a SET OF is not checked: Authenticode signatures in the field carry unsorted attributes, signed as they
 * stand, and firmware accepts them. Not supported: tag numbers from 31, REAL, relative object identifiers.
 */
export { contextTag, MAX_DEPTH, showTag, TAG } from "./layout.ts";
export { DerReader, type DerValue, readOnly } from "./read.ts";
/** The writer: `der.sequence(der.oid("2.5.4.3"), der.utf8String("db"))`. */
export * as der from "./write.ts";
