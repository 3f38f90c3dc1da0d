/** SoftHSM: a PKCS #11 token in files, for tests. Settings of it are the process's, so a test file has one. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const SOFTHSM_MODULE = "/usr/lib/softhsm/libsofthsm2.so";

export interface SoftHsm {
  readonly pin: string;
  /** Makes a token and gives its serial number. */
  addToken(label: string): string;
  /** Puts a key (PEM) into a token. */
  importKey(token: string, label: string, id: string, keyPath: string): void;
  /** Puts a certificate (DER) into a token. */
  importCertificate(token: string, label: string, id: string, certificate: Uint8Array): void;
  /** pkcs11-tool on a token, logged in. */
  tool(token: string, ...args: readonly string[]): string;
}

/** @param settings lines for its configuration file */
export function openSoftHsm(directory: string, ...settings: readonly string[]): SoftHsm {
  const tokens = join(directory, "tokens");
  const configuration = join(directory, "softhsm2.conf");
  mkdirSync(tokens, { recursive: true });
  writeFileSync(configuration, [`directories.tokendir = ${tokens}`, "log.level = ERROR", ...settings, ""].join("\n"));
  process.env["SOFTHSM2_CONF"] = configuration;
  const run = (program: string, ...args: readonly string[]): string =>
    execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const pin = "8642-pin";
  const tool = (token: string, ...args: readonly string[]): string =>
    run("pkcs11-tool", "--module", SOFTHSM_MODULE, "--token-label", token, "--login", "--pin", pin, ...args);
  return {
    pin,
    tool,
    addToken(label) {
      const list = (): string => run("p11tool", "--provider", SOFTHSM_MODULE, "--list-token-urls");
      const before = list();
      run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "1357-so-pin");
      const added = list()
        .split("\n")
        .find((url) => !before.includes(url));
      return /serial=([0-9a-f]+)/.exec(added ?? "")?.[1] ?? "";
    },
    importKey(token, label, id, keyPath) {
      const object = ["--token", token, "--label", label, "--id", id, "--pin", pin];
      run("softhsm2-util", "--import", keyPath, ...object);
    },
    importCertificate(token, label, id, certificate) {
      const path = join(directory, "certificate.der");
      writeFileSync(path, certificate);
      tool(token, "--write-object", path, "--type", "cert", "--label", label, "--id", id);
    },
  };
}
