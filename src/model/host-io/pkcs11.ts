/** PKCS #11 modules: shared libraries of tokens and HSMs, called through the optional package pkcs11js. */
import type * as Pkcs11js from "pkcs11js";
import { SealwrightError, ServiceError, UnsupportedError } from "../../lib/errors.ts";

export type Cryptoki = InstanceType<typeof Pkcs11js.PKCS11>;
export type CryptokiConstants = typeof Pkcs11js;

/** A module that is loaded and initialized. Disposing the last one of a path finalizes it. */
export interface Pkcs11Module extends Disposable {
  readonly path: string;
  readonly cryptoki: Cryptoki;
  readonly constants: CryptokiConstants;
}

interface Loaded {
  readonly cryptoki: Cryptoki;
  users: number;
}

/** A process has one instance of a module, which is initialized once (PKCS #11 3.0 §5.4). */
const loaded = new Map<string, Loaded>();

/**
 * Loads a module into this process.
 *
 * @throws {UnsupportedError} `signer.pkcs11-unavailable` without the package pkcs11js
 * @throws {ServiceError} `signer.pkcs11-module` when it is no module, or does not start
 */
export async function openPkcs11Module(path: string): Promise<Pkcs11Module> {
  const constants = await loadPackage();
  const known = loaded.get(path) ?? { cryptoki: start(constants, path), users: 0 };
  known.users += 1;
  loaded.set(path, known);
  let open = true;
  return {
    path,
    cryptoki: known.cryptoki,
    constants,
    [Symbol.dispose]() {
      if (!open) return;
      open = false;
      known.users -= 1;
      if (known.users > 0) return;
      loaded.delete(path);
      stop(known.cryptoki);
    },
  };
}

async function loadPackage(): Promise<CryptokiConstants> {
  try {
    return (await import("pkcs11js")).default;
  } catch (cause) {
    throw new UnsupportedError("signer.pkcs11-unavailable", "pkcs11: the optional package pkcs11js is not installed", {
      cause,
      hint: "it is built when it is installed: with make, g++ and python3 there, run npm install pkcs11js",
    });
  }
}

function start({ PKCS11 }: CryptokiConstants, path: string): Cryptoki {
  const cryptoki = new PKCS11();
  try {
    cryptoki.load(path);
  } catch (error) {
    throw moduleError(path, "cannot be loaded", error);
  }
  try {
    cryptoki.C_Initialize();
  } catch (error) {
    if (returnValue(error) !== "CKR_CRYPTOKI_ALREADY_INITIALIZED") {
      cryptoki.close();
      throw moduleError(path, "does not start", error);
    }
  }
  return cryptoki;
}

function stop(cryptoki: Cryptoki): void {
  try {
    cryptoki.C_Finalize();
  } catch {
    // It is let go of in any case.
  }
  cryptoki.close();
}

function moduleError(path: string, problem: string, error: unknown): ServiceError {
  const reason = returnValue(error) ?? (error instanceof Error ? error.message.split("\n", 1)[0] : undefined);
  return new ServiceError(
    "signer.pkcs11-module",
    `PKCS #11 module ${path}: ${problem}: ${reason ?? "no reason given"}`,
    {
      data: { module: path, reason },
    },
  );
}

/** `CKR_…`, the return value that a function of a module ended with; nothing for other errors. */
export function returnValue(error: unknown): string | undefined {
  if (error instanceof SealwrightError || !(error instanceof Error)) return undefined;
  return /\bCKR_[A-Z0-9_]+/.exec(error.message)?.[0];
}
