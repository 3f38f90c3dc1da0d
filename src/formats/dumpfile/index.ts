/**
 * Composefs dumps: a tree as text, one line a node. The aid for comparing trees between tools.
 *
 *     PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST [KEY=VALUE...]
 *     /usr/bin/sh 4 120777 1 0 0 0 1700000000.0 bash - -
 *     /usr/bin/rbash 0 @120000 - - - - 0.0 /usr/bin/bash - -
 *
 * Fields are separated by one space; bytes outside 0x21..0x7e are escaped. Read and written as composefs-rs 0.9 does.
 * Not supported: what only `mkcomposefs` reads (missing fields, links before their target, negative times).
 *
 * @see composefs man/composefs-dump.5.md
 */
export type { DumpEntry, DumpMetadata, DumpNode } from "./entry.ts";
export { DUMPFILE_LIMITS, DUMPFILE_LIMITS_OF_C, type DumpfileLimits } from "./layout.ts";
export { type Dumpfile, type ParseDumpfileOptions, parseDumpfile } from "./read.ts";
export { encodeDumpLine } from "./write.ts";
