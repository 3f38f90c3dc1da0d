import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { imageArgument, jsonFlag, noCacheFlag, platformFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";
import { KEY_BRIEF, type SignerRuleFlags, signerOptions, signerRuleFlags } from "../signer-flags.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";
import { version } from "../version.ts";

interface Flags extends RegistryFlags, Omit<SignerRuleFlags, "allowEcKey"> {
  readonly attest: string;
  readonly key?: string;
  readonly cert?: string;
  readonly signAs?: string;
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

/** A key of either kind signs what is said: no firmware reads it. */
const { allowEcKey: _, ...ruleFlags } = signerRuleFlags;

export const attachCommand = buildCommand<Flags, [string], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const [{ attachImage }, { showAttach }] = await Promise.all([
        import("../../actions/attach/attach-image.ts"),
        import("../show/attach.ts"),
      ]);
      const report = await attachImage(image, {
        ...signerOptions(this, { ...flags, allowEcKey: true }),
        kinds: flags.attest,
        key: flags.key,
        signAs: flags.signAs,
        platform: flags.platform,
        toolVersion: version,
        buildTime: sourceDateEpoch(this.env),
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        registries: await registriesOf(this, flags),
        progress: this.progress,
      });
      return showAttach(report);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ ...imageArgument.parameters[0], brief: "HOST/NAME[:TAG] in a registry, or oci:DIR[:TAG]" }],
    },
    flags: {
      attest: {
        ...textFlag("LIST", "What to say: signature, sbom, composefs; comma-separated, or all"),
        optional: false,
      },
      key: textFlag("KEY", `Key that signs it, RSA or EC: ${KEY_BRIEF}`),
      cert: textFlag("FILE", "Certificate of that key: signs composefs digests as the kernel takes them, too"),
      signAs: textFlag("HOST/NAME", "Repository to sign for (default: the one the image is in)"),
      ...ruleFlags,
      platform: platformFlag,
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Attach signatures, an SBOM or composefs digests to an image in a registry or a layout",
    fullDescription: [
      "The image stays as it is: what is said about it are manifests of their own that refer to it (OCI 1.1 referrers),",
      "and for registries that list none, a tag that does. Statements are signed in the form that cosign verifies; the",
      "signature of the image is also kept under the tag that cosign 2 looks for.",
      "Of an index, every image for Linux gets what is asked for, and the index is signed.",
      "",
      "EXAMPLES",
      "  sealwright attach quay.io/example/os:sealed --attest all --key keys/db.key --cert keys/db.crt",
      "  sealwright attach quay.io/example/os:sealed --attest signature --key cosign.pem",
      "  sealwright attach oci:./sealed --attest signature --key cosign.pem --sign-as quay.io/example/os",
    ].join("\n"),
  },
});
