import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";

interface Flags {
  readonly key: string;
  readonly cert: string;
  readonly output?: string;
  readonly overwrite: boolean;
  readonly allowExpiredCert: boolean;
  readonly allowLooseKeyPermissions: boolean;
  readonly json: boolean;
}

export const signCommand = buildCommand<Flags, [string], Context>({
  async func(flags, file) {
    await perform(this, flags.json, async () => {
      const { signFile } = await import("../../actions/sign/sign-file.ts");
      const report = await signFile(file, {
        keyPath: flags.key,
        certificatePath: flags.cert,
        output: flags.output,
        overwrite: flags.overwrite,
        allowExpiredCertificate: flags.allowExpiredCert,
        allowLooseKeyPermissions: flags.allowLooseKeyPermissions,
        buildTime: sourceDateEpoch(this.env),
        now: new Date(),
      });
      return {
        text: `${report.output}: signed by ${report.signer}, signature ${report.signatures} of the file\nAuthenticode SHA-256  ${report.authenticodeDigest}`,
        json: report,
      };
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "PE file: boot loader, kernel, UKI, addon", parse: String, placeholder: "FILE" }],
    },
    flags: {
      key: requiredTextFlag("FILE", "Private key, PEM"),
      cert: requiredTextFlag("FILE", "Certificate of that key, PEM or DER"),
      output: textFlag("FILE", "Where the signed file goes (default: FILE.signed)"),
      overwrite: switchFlag("Replace the output if it exists; allows signing in place"),
      allowExpiredCert: switchFlag("Sign although the certificate is out of its validity"),
      allowLooseKeyPermissions: switchFlag("Use a key file that others can read"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Sign a PE file for Secure Boot (Authenticode)",
    fullDescription: [
      "Adds one signature; those already there stay. The bytes are those of systemd-sbsign with the same time:",
      "SOURCE_DATE_EPOCH when it is set, otherwise the start of the certificate's validity.",
      "",
      "EXAMPLES",
      "  sealwright sign systemd-bootx64.efi --key keys/db.key --cert keys/db.crt",
      "  sealwright sign vmlinuz --key db.key --cert db.crt --output vmlinuz --overwrite",
    ].join("\n"),
  },
});
