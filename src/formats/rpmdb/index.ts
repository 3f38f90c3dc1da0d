/**
 * The package database of RPM and the order of its versions.
 *
 *     rpmdb.sqlite   SQLite, table "Packages" (hnum, blob) --+
 *     Packages.db    ndb: slots, then blobs -----------------+--> header blob: counts, index of tags, data
 *
 *     header blob    | index length | data length | tag type offset count (16 bytes) ... | data |   big-endian
 *
 * Written after rpm 4.20: lib/backend/sqlite.c, lib/backend/ndb/rpmpkg.c, "RPM V4 package format"; and the SQLite file
 * format, version 3. Berkeley DB (`Packages`, rpm before 4.16) is named and not read, nor is a write-ahead log.
 */
export { parseRpmFileList, parseRpmHeader, type RpmFileList, type RpmPackage } from "./header.ts";
export { readNdbBlobs } from "./ndb.ts";
export { parseRpmdb, parseRpmFileLists } from "./read.ts";
export { readSqliteTable, type SqliteValue } from "./sqlite.ts";
export { compareRpmVersions, showRpmVersion } from "./version.ts";
