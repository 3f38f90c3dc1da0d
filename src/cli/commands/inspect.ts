import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { imageArgument, jsonFlag, noCacheFlag, platformFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

export const inspectCommand = buildCommand<Flags, [string], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const [{ inspectImage }, { showImage }] = await Promise.all([
        import("../../actions/inspect/inspect-image.ts"),
        import("../show/image.ts"),
      ]);
      const report = await inspectImage(image, {
        platform: flags.platform,
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      });
      return showImage(report);
    });
  },
  parameters: {
    positional: imageArgument,
    flags: { platform: platformFlag, ...registryFlags, noCache: noCacheFlag, json: jsonFlag },
  },
  docs: {
    brief: "Show what is in an image, and whether it is sealed or can be",
    fullDescription: [
      "The JSON has the members of `bootc container inspect` (kernel, kargs) and more. Nothing is verified: that is",
      "what sealwright verify does.",
      "",
      "EXAMPLES",
      "  sealwright inspect oci:./os",
      "  sealwright inspect docker-archive:os.tar --json",
    ].join("\n"),
  },
});
