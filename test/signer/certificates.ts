/** A private authority, a certificate for the service and some for its clients, made by openssl. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface CertificateFiles {
  readonly certificatePath: string;
  readonly keyPath: string;
  readonly certificate: string;
  readonly key: string;
}

export class TestAuthority {
  readonly #directory: string;
  readonly #own: CertificateFiles;

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true });
    this.#directory = directory;
    this.#own = make(directory, "authority", []);
  }

  /** PEM. */
  get certificate(): string {
    return this.#own.certificate;
  }

  get certificatePath(): string {
    return this.#own.certificatePath;
  }

  /** For 127.0.0.1 and localhost, or for a client of that name. */
  issue(name: string): CertificateFiles {
    const authority = ["-CA", this.#own.certificatePath, "-CAkey", this.#own.keyPath];
    const names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
    return make(this.#directory, name, [...authority, ...names, "-addext", "basicConstraints=critical,CA:FALSE"]);
  }
}

function make(directory: string, name: string, extra: readonly string[]): CertificateFiles {
  const certificatePath = join(directory, `${name}.crt`);
  const keyPath = join(directory, `${name}.key`);
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${name}`];
  const out = ["-keyout", keyPath, "-out", certificatePath];
  execFileSync("openssl", ["req", "-x509", "-days", "2", ...kind, ...out, ...extra], { stdio: "pipe" });
  const read = (path: string): string => readFileSync(path, "utf8");
  return { certificatePath, keyPath, certificate: read(certificatePath), key: read(keyPath) };
}
