/** Which packages an OS tree has, by the databases of dpkg and RPM in it. Nothing here reads file contents. */
export { findPackageDatabases, type PackageDatabase } from "./databases.ts";
export { compareVersions, type Package, type PackageManager, parsePackages } from "./package.ts";
