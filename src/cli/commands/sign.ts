import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { KEY_BRIEF, type SignerFlags, signerFlags, signerOptions } from "../signer-flags.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";

interface Flags extends SignerFlags {
  readonly key: string;
  readonly output?: string;
  readonly overwrite: boolean;
  readonly json: boolean;
}

export const signCommand = buildCommand<Flags, [string], Context>({
  async func(flags, file) {
    await perform(this, flags.json, async () => {
      const { signFile } = await import("../../actions/sign/sign-file.ts");
      const report = await signFile(file, {
        ...signerOptions(this, flags),
        key: flags.key,
        output: flags.output,
        overwrite: flags.overwrite,
        buildTime: sourceDateEpoch(this.env),
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
      ...signerFlags,
      key: requiredTextFlag("KEY", `Private key: ${KEY_BRIEF}`),
      output: textFlag("FILE", "Where the signed file goes (default: FILE.signed)"),
      overwrite: switchFlag("Replace the output if it exists; allows signing in place"),
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
