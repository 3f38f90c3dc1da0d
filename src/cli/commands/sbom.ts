import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { imageArgument, noCacheFlag, platformFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";
import { version } from "../version.ts";

interface Flags extends RegistryFlags {
  readonly platform?: string;
  readonly noCache: boolean;
}

export const sbomCommand = buildCommand<Flags, [string], Context>({
  async func(flags, image) {
    await perform(this, false, async () => {
      const { sbomOf } = await import("../../actions/sbom/sbom.ts");
      const { bytes, document } = await sbomOf(image, {
        platform: flags.platform,
        toolVersion: version,
        buildTime: sourceDateEpoch(this.env),
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      });
      return { text: "", bytes: [bytes], json: document };
    });
  },
  parameters: {
    positional: imageArgument,
    flags: { platform: platformFlag, ...registryFlags, noCache: noCacheFlag },
  },
  docs: {
    brief: "Print the packages of an image as a CycloneDX SBOM",
    fullDescription: [
      "Lists what the databases of dpkg and RPM in the image say is installed, as CycloneDX 1.6 in JSON. The same image",
      "gives the same bytes: the serial number follows from the content, and the time is that of SOURCE_DATE_EPOCH or none.",
      "",
      "EXAMPLES",
      "  sealwright sbom quay.io/example/os:latest > os.cdx.json",
      "  sealwright sbom dir:/mnt/rootfs",
    ].join("\n"),
  },
});
