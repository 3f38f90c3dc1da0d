/** Flags of every command that talks to a signing service. */
import { UsageError } from "../lib/errors.ts";
import { loadFile } from "../model/host-io/files.ts";
import { loadSecretFile, loadSecretLine } from "../model/signing/secret-file.ts";
import type { ServiceAddress } from "../model/signing-service/index.ts";
import type { Context } from "./context.ts";
import { textFlag } from "./flags.ts";

export interface ServiceFlags {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
}

export const serviceFlags = {
  server: textFlag("URL", "Address of the signing service (or: SEALWRIGHT_SIGNER)"),
  tokenFile: textFlag("FILE", "Access token (or: SEALWRIGHT_SIGNER_TOKEN)"),
  ca: textFlag("FILE", "Authority of the service's certificate, PEM (default: those of the system)"),
  clientCert: textFlag("FILE", "Certificate to be known by instead of a token, PEM"),
  clientKey: textFlag("FILE", "Key of that certificate, PEM"),
} as const;

/** Safety limit: a bundle of authorities has a few hundred KiB. */
const MAX_CERTIFICATES_SIZE = 1 << 20;

/**
 * @throws {UsageError} `service.url-missing`, `service.client-key-missing`
 * @throws as `loadSecretLine`
 */
export async function serviceAddress(context: Context, flags: ServiceFlags): Promise<ServiceAddress> {
  const url = flags.server ?? context.env["SEALWRIGHT_SIGNER"];
  if (url === undefined || url === "") {
    throw new UsageError("service.url-missing", "no signing service named", {
      hint: "name it with --server https://HOST, or in SEALWRIGHT_SIGNER",
    });
  }
  const token =
    flags.tokenFile === undefined
      ? context.env["SEALWRIGHT_SIGNER_TOKEN"]
      : await loadSecretLine(flags.tokenFile, "token file", {});
  return {
    url,
    token: token?.trim() || undefined,
    authority: flags.ca === undefined ? undefined : await loadPem(flags.ca, "authority"),
    client: await loadClient(flags),
    signal: context.signal,
  };
}

async function loadClient({ clientCert, clientKey }: ServiceFlags): Promise<ServiceAddress["client"]> {
  if (clientCert === undefined && clientKey === undefined) return undefined;
  if (clientCert === undefined || clientKey === undefined) {
    throw new UsageError("service.client-key-missing", "expected both --client-cert and --client-key");
  }
  const key = await loadSecretFile(clientKey, "client key", {});
  return { certificate: await loadPem(clientCert, "client certificate"), key: key.toString("utf8") };
}

export async function loadPem(path: string, what: string): Promise<string> {
  const bytes = await loadFile(path, `${what} ${path}`, MAX_CERTIFICATES_SIZE, "x509.file-too-large");
  return Buffer.from(bytes).toString("utf8");
}
