import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { imageArgument, jsonFlag, listFlag, platformFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly cert?: readonly string[];
  readonly format?: string;
  readonly allowMissingVerity: boolean;
  readonly platform?: string;
  readonly json: boolean;
}

export const verifyCommand = buildCommand<Flags, [string], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const [{ verifyImage }, { LINKS }, { showVerdict }] = await Promise.all([
        import("../../actions/verify/verify-image.ts"),
        import("../../actions/verify/verdict.ts"),
        import("../show/verdict.ts"),
      ]);
      const verdict = await verifyImage(image, {
        certificates: flags.cert ?? [],
        format: flags.format,
        allowMissingVerity: flags.allowMissingVerity,
        platform: flags.platform,
        now: new Date(),
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      });
      return showVerdict(verdict, image, LINKS);
    });
  },
  parameters: {
    positional: imageArgument,
    flags: {
      cert: listFlag("FILE", "Certificate of the Secure Boot db, PEM or DER; repeatable"),
      format: textFlag("FORMAT", "Format of the digest on the command line (default: the one that matches)"),
      allowMissingVerity: switchFlag("Accept composefs=?DIGEST, which lets the kernel go on without fs-verity"),
      platform: platformFlag,
      ...registryFlags,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Check a sealed image link by link, offline",
    fullDescription: [
      "Reads every blob, checks both signatures against the certificates, the rules of the command line and the digest",
      "recomputed from the layers. Prints one line a link; the exit status is 0 only when every link holds.",
      "",
      "EXAMPLES",
      "  sealwright verify oci:./sealed --cert keys/db.crt",
      "  sealwright verify oci-archive:sealed.tar --cert old-db.crt --cert new-db.crt --json",
    ].join("\n"),
  },
});
