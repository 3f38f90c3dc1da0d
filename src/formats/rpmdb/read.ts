import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import { parseRpmFileList, parseRpmHeader, type RpmFileList, type RpmPackage } from "./header.ts";
import { isNdb, readNdbBlobs } from "./ndb.ts";
import { isSqlite, readSqliteTable } from "./sqlite.ts";

/**
 * Lists the packages of a database, whichever of the forms it has.
 *
 * @throws {FormatError} `rpmdb.unknown`, `rpmdb.sqlite.…`, `rpmdb.ndb.…`, `rpmdb.header.…`
 * @throws {UnsupportedError} `rpmdb.berkeley-db`
 */
export function parseRpmdb(bytes: Uint8Array, what = "RPM database"): RpmPackage[] {
  return blobsOf(bytes, what).map((blob, index) => parseRpmHeader(blob, `${what}: package ${index}`));
}

/**
 * Lists the files of every package of a database.
 *
 * @throws what `parseRpmdb` and `parseRpmFileList` throw
 */
export function parseRpmFileLists(bytes: Uint8Array, what = "RPM database"): RpmFileList[] {
  return blobsOf(bytes, what).map((blob, index) => parseRpmFileList(blob, `${what}: package ${index}`));
}

function blobsOf(bytes: Uint8Array, what: string): Uint8Array[] {
  if (isSqlite(bytes)) return readSqliteTable(bytes, "Packages").map(({ values }) => requireBlob(values[1], what));
  if (isNdb(bytes)) return readNdbBlobs(bytes);
  if (isBerkeleyDb(bytes)) {
    throw new UnsupportedError("rpmdb.berkeley-db", `${what}: found Berkeley DB, only SQLite and ndb are supported`, {
      hint: "rpm 4.16 and later convert it: rpmdb --rebuilddb",
    });
  }
  const found = `0x${Buffer.from(bytes.subarray(0, 16)).toString("hex")}`;
  throw new FormatError("rpmdb.unknown", { what, expected: "SQLite, ndb or Berkeley DB", found });
}

function requireBlob(value: unknown, what: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const mismatch = { what: `${what}: table Packages`, expected: "blobs in its second column", found: typeof value };
  throw new FormatError("rpmdb.sqlite.column", mismatch);
}

/** Magic numbers of its hash and B-tree files, at byte 12 in the byte order of the machine that wrote it. */
const BERKELEY_DB_MAGICS: readonly string[] = ["61150600", "00061561", "62310500", "00053162"];

const isBerkeleyDb = (bytes: Uint8Array): boolean =>
  BERKELEY_DB_MAGICS.includes(Buffer.from(bytes.subarray(12, 16)).toString("hex"));
