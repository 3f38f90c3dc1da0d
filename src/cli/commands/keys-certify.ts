import { randomBytes } from "node:crypto";
import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { KEY_BRIEF, type SignerRuleFlags, signerRuleFlags, signerRules } from "../signer-flags.ts";

interface Flags extends SignerRuleFlags {
  readonly key: string;
  readonly publicKey?: string;
  readonly output: string;
  readonly overwrite: boolean;
  readonly name: string;
  readonly organization?: string;
  readonly years?: number;
  readonly json: boolean;
}

const { allowExpiredCert: _, ...ruleFlags } = signerRuleFlags;

export const certifyCommand = buildCommand<Omit<Flags, "allowExpiredCert">, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const { certifyKey } = await import("../../actions/keys/certify-key.ts");
      const { key, name: commonName, organization, output, overwrite, publicKey: publicKeyPath, years } = flags;
      const report = await certifyKey({
        ...signerRules(this, { ...flags, allowExpiredCert: false }),
        key,
        publicKeyPath,
        output,
        overwrite,
        commonName,
        organization,
        years,
        randomBytes,
      });
      const lines = [
        `${report.output}: certificate of ${report.subject}`,
        `${report.key}, valid from ${report.notBefore.slice(0, 10)} to ${report.notAfter.slice(0, 10)}`,
        `SHA-256  ${report.fingerprint}`,
      ];
      return { text: lines.join("\n"), json: report };
    });
  },
  parameters: {
    flags: {
      key: requiredTextFlag("KEY", `Private key: ${KEY_BRIEF}`),
      output: requiredTextFlag("FILE", "Where the certificate goes, PEM"),
      name: requiredTextFlag("NAME", "Common name in the certificate"),
      organization: textFlag("NAME", "Organization in the certificate"),
      years: { kind: "parsed", parse: Number, optional: true, brief: "Validity (default: 20)", placeholder: "YEARS" },
      publicKey: textFlag("FILE", "Public key, PEM; needed for exec:, which does not tell it"),
      ...ruleFlags,
      overwrite: switchFlag("Replace the output if it exists"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Make a certificate for a key that is in a token or a service",
    fullDescription: [
      "Tokens and key services make keys and no certificates, and firmware takes nothing else into db. The certificate is",
      "signed by the key itself, as those of `keys generate` are.",
      "",
      "EXAMPLES",
      "  sealwright keys certify --key awskms:alias/db --name 'Example db' --output db.crt",
      "  sealwright keys certify --key 'pkcs11:token=prod;object=db' --name 'Example db' --output db.crt",
      "  sealwright keys certify --key 'exec:./signer' --public-key db.pub --name 'Example db' --output db.crt",
    ].join("\n"),
  },
});
