import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { imageArgument, jsonFlag, listFlag, platformFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly key?: readonly string[];
  readonly platform?: string;
  readonly json: boolean;
}

export const referrersCommand = buildCommand<Flags, [string], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const [{ listReferrers }, { showReferrers }] = await Promise.all([
        import("../../actions/referrers/list-referrers.ts"),
        import("../show/remarks.ts"),
      ]);
      const report = await listReferrers(image, {
        keys: flags.key ?? [],
        platform: flags.platform,
        registries: await registriesOf(this, flags),
        signal: this.signal,
      });
      return showReferrers(report);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [
        { ...imageArgument.parameters[0], brief: "HOST/NAME[:TAG] in a registry, oci:DIR[:TAG] or oci-archive:FILE" },
      ],
    },
    flags: {
      key: listFlag("FILE", "Public key or certificate, PEM, whose signatures count; repeatable"),
      platform: platformFlag,
      ...registryFlags,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "List what is said about an image: signatures, attestations, SBOMs, composefs digests",
    fullDescription: [
      "Lists the referrers of an image, of an index and of each image in it, and what cosign keeps under tags; each with",
      "what it says and who signed it. What is about another image, or does not fit this one, is shown as FALSE.",
      "",
      "EXAMPLES",
      "  sealwright referrers quay.io/example/os:sealed",
      "  sealwright referrers quay.io/example/os:sealed --key cosign.pub --json",
    ].join("\n"),
  },
});
