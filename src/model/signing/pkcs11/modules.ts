/** Where PKCS #11 modules are. */
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { Pkcs11Uri } from "../../../formats/pkcs11-uri/index.ts";
import { NotFoundError, quote, UsageError } from "../../../lib/errors.ts";
import type { Environment } from "../signing-key.ts";

/** Distributions' places, the ones meant for modules first. */
const DIRECTORIES: readonly string[] = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
  .flatMap((triplet) => [`/usr/lib/${triplet}/pkcs11`, `/usr/lib/${triplet}`, `/usr/lib/${triplet}/softhsm`])
  .concat("/usr/lib64/pkcs11", "/usr/lib64", "/usr/lib/pkcs11", "/usr/lib/softhsm", "/usr/lib", "/usr/local/lib");

/** Asked when none is named. The proxy of p11-kit stands for all that the system has configured. */
const USUAL = ["p11-kit-proxy", "libsofthsm2", "opensc-pkcs11", "libykcs11", "libtpm2_pkcs11"] as const;

/** The variable that OpenSSL's and OpenSC's users set. */
export const MODULE_VARIABLE = "PKCS11_MODULE_PATH";

/**
 * Finds the modules to ask, in order: the one that the URI names, by path or by name; the one in the environment; or
 * those that are usual.
 *
 * @throws {UsageError} `signer.reference` for a path that is not absolute, or a name that is a path
 * @throws {NotFoundError} `signer.pkcs11-module-absent`
 */
export function findPkcs11Modules({ moduleName, modulePath }: Pkcs11Uri, env: Environment): string[] {
  const path = modulePath ?? (moduleName === undefined ? env[MODULE_VARIABLE] : undefined);
  if (path !== undefined && path !== "") return [requirePath(path)];
  const found = moduleName === undefined ? USUAL.flatMap(lookUp) : lookUpByName(moduleName);
  if (found.length > 0) return found;
  const which = moduleName === undefined ? "no PKCS #11 module" : `no PKCS #11 module of the name ${quote(moduleName)}`;
  throw new NotFoundError("signer.pkcs11-module-absent", `pkcs11: ${which} in the usual places`, {
    hint: `name it with module-path=PATH in the URI or in ${MODULE_VARIABLE}`,
  });
}

/** A relative path would be looked up by the loader, in places that nobody named. */
function requirePath(path: string): string {
  if (!isAbsolute(path)) {
    throw new UsageError("signer.reference", `pkcs11: module ${quote(path)}: expected an absolute path`);
  }
  if (existsSync(path)) return path;
  throw new NotFoundError("signer.pkcs11-module-absent", `pkcs11: module ${quote(path)}: no such file`);
}

/** RFC 7512 §2.3: a name without what the system puts before and behind it. */
function lookUpByName(name: string): string[] {
  if (name.includes("/")) {
    throw new UsageError("signer.reference", `pkcs11: module name ${quote(name)}: expected a name, not a path`, {
      hint: "paths go into module-path",
    });
  }
  return [name, `lib${name}`, `${name}-pkcs11`, `lib${name}-pkcs11`].flatMap(lookUp).slice(0, 1);
}

function lookUp(name: string): string[] {
  const paths = DIRECTORIES.map((directory) => join(directory, `${name}.so`));
  return paths.filter((path) => existsSync(path)).slice(0, 1);
}
