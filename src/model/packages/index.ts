/** Which packages an OS tree has, and which files are theirs. Contents of files are read by whoever is asked to. */
export { findPackageDatabases, type PackageDatabase } from "./databases.ts";
export { findPackageOwners, type OwnersProblem, type PackageOwners } from "./owners.ts";
export { compareVersions, type Package, type PackageManager, parsePackages } from "./package.ts";
