/**
 * The database of dpkg and the order of Debian's versions.
 *
 *     Package: tar                        [epoch:]upstream[-revision]
 *     Status: install ok installed         2:1.35~rc1+dfsg-3.1
 *     Version: 1.35+dfsg-3.1
 *     <an empty line, then the next package>
 *
 * Written after deb-control(5), dpkg's "status" file as dpkg 1.22 writes it, and the Debian Policy Manual 4.7, 5.6.12.
 * The files of `status.d` that distroless images have are the same with one package each and no `Status`. Fields other
 * than the ones below are skipped; nothing is written. `info/NAME.list` has the paths of a package, one a line.
 */
export { parseDpkgFileList, parseDpkgMd5sums } from "./file-list.ts";
export { type DpkgPackage, parseDpkgStatus } from "./status.ts";
export { compareDpkgVersions } from "./version.ts";
