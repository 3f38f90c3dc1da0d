import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { buildCommand } from "@stricli/core";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { queueFlag, queuePlace } from "../queue-flag.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";
import { loadPem } from "../service-flags.ts";
import { KEY_BRIEF, type SignerRuleFlags, signerOptions, signerRuleFlags } from "../signer-flags.ts";

interface Flags extends RegistryFlags, SignerRuleFlags {
  readonly policy: string;
  readonly key: string;
  readonly cert?: string;
  readonly pcrKey?: string;
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly clientCa?: string;
  readonly insecureHttp: boolean;
  readonly queue?: string;
  readonly expireAfter: number;
  readonly verbose: boolean;
}

const HOUR_MS = 60 * 60 * 1000;

/** What it throws is told as a mistake on the command line. */
function parseHours(text: string): number {
  const hours = Number(text);
  if (!/^\d{1,5}$/.test(text) || hours === 0) throw new SyntaxError(`"${text}" is no number of hours`);
  return hours;
}

const now = (): Date => new Date();

async function loadTls({ clientCa, tlsCert, tlsKey }: Flags, allowLooseKeyPermissions: boolean) {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new UsageError("service.tls-missing", "a certificate and its key belong together: --tls-cert and --tls-key");
  }
  const { loadSecretFile } = await import("../../model/signing/secret-file.ts");
  const key = await loadSecretFile(tlsKey, "TLS key", { allowLooseKeyPermissions });
  return {
    certificate: await loadPem(tlsCert, "TLS certificate"),
    key: key.toString("utf8"),
    clientAuthority: clientCa === undefined ? undefined : await loadPem(clientCa, "authority of clients"),
  };
}

export const signerServeCommand = buildCommand<Flags, [], Context>({
  async func(flags) {
    await perform(this, false, async () => {
      const [{ openPolicyDesk }, { serveSigning }] = await Promise.all([
        import("../../actions/signer-service/policy-desk.ts"),
        import("../../server/serve.ts"),
      ]);
      const registries = await registriesOf(this, flags);
      await serveSigning({
        queue: await queuePlace(this, flags.queue),
        openDesk: (queue) =>
          openPolicyDesk({
            policyPath: flags.policy,
            key: flags.key,
            pcrKey: flags.pcrKey,
            signer: signerOptions(this, flags),
            queue,
            registries,
            cacheDirectory: cacheDirectory(this.env),
            now,
          }),
        listen: flags.listen,
        tls: await loadTls(flags, flags.allowLooseKeyPermissions),
        allowHttp: flags.insecureHttp,
        lifetimeMs: flags.expireAfter * HOUR_MS,
        owner: `${hostname()}:${process.pid}:${randomUUID()}`,
        now,
        write: (line) => this.process.stdout.write(line),
        verbose: flags.verbose,
        signal: this.signal,
      });
      return { text: "", json: {} };
    });
  },
  parameters: {
    flags: {
      policy: requiredTextFlag(
        "FILE",
        "What may be signed, who approves, the key of the audit log; read for each request",
      ),
      key: requiredTextFlag("KEY", `Private key of the Secure Boot db: ${KEY_BRIEF}`),
      cert: textFlag("FILE", "Certificate of that key, PEM or DER (default: the one in the token)"),
      pcrKey: textFlag("KEY", "Private key of the PCR policies, where requests ask for some"),
      ...signerRuleFlags,
      listen: {
        kind: "parsed",
        parse: String,
        default: "127.0.0.1:8443",
        brief: "Address and port",
        placeholder: "HOST:PORT",
      },
      tlsCert: textFlag("FILE", "Certificate of the service and those above it, PEM"),
      tlsKey: textFlag("FILE", "Key of that certificate, PEM"),
      clientCa: textFlag("FILE", "Authority of client certificates, PEM; ask clients for one"),
      insecureHttp: switchFlag("Speak plain HTTP, on a loopback address, for a try or behind a proxy on this machine"),
      queue: queueFlag,
      expireAfter: {
        kind: "parsed",
        parse: parseHours,
        default: "168",
        brief: "Hours that a request waits for its approvals",
        placeholder: "HOURS",
      },
      ...registryFlags,
      verbose: switchFlag("Also log the steps of reviews"),
    },
  },
  docs: {
    brief: "Run the signing service",
    fullDescription: [
      "Builders submit signing requests. The service makes each one again from the image itself, holds it against the",
      "policy, shows it to approvers on a page, and signs it when enough of them have approved. Its log is a line of JSON an",
      "event on standard output. Several servers may share one PostgreSQL database.",
      "",
      "EXAMPLES",
      "  sealwright signer token add alice --role approver",
      "  sealwright signer serve --policy policy.toml --key pkcs11:token=db --tls-cert tls.crt --tls-key tls.key",
      "  SEALWRIGHT_QUEUE=postgres://signer@db/signer sealwright signer serve --policy policy.toml --key db.key \\",
      "    --cert db.crt --tls-cert tls.crt --tls-key tls.key --listen 0.0.0.0:8443 --client-ca builders.crt",
    ].join("\n"),
  },
});
