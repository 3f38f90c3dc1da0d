/**
 * Software bills of materials: which packages are in a tree, as CycloneDX 1.6 in JSON.
 *
 *     tree --model/packages--> packages --package URLs--> components --+
 *     os-release ----------------------> operating system -------------+--> BOM
 *     image: name, manifest digest ----> what the BOM is about --------+
 *
 * The same image gives the same bytes: components are sorted, there is no time unless one is given, and the serial number
 * follows from the rest. Not in it: files that no package owns, licences, dependencies between packages.
 */
export { makeSbom, type Sbom, type SbomSubject } from "./cyclonedx.ts";
export { packageUrl } from "./package-url.ts";
