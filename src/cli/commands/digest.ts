import { buildCommand } from "@stricli/core";
import type { DigestReport } from "../../actions/digest/compute-digests.ts";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { imageArgument, jsonFlag, noCacheFlag, platformFlag, switchFlag, textFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly format?: string;
  readonly plain: boolean;
  readonly dumpfile?: string;
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

export const digestCommand = buildCommand<Flags, [string], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const { computeDigests } = await import("../../actions/digest/compute-digests.ts");
      const report = await computeDigests(image, {
        formats: flags.format,
        plain: flags.plain,
        dumpfile: flags.dumpfile,
        platform: flags.platform,
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      });
      return show(report);
    });
  },
  parameters: {
    positional: imageArgument,
    flags: {
      format: textFlag(
        "LIST",
        "v1-sha512 (default), v2-sha512, v1-sha256, v2-sha256, v0-sha256, v0-sha512 or all; comma-separated",
      ),
      plain: switchFlag("Digest of the OCI tree, without the boot transform"),
      dumpfile: textFlag("FILE", "Also write the tree as a composefs dumpfile"),
      platform: platformFlag,
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Print the composefs digest of an image, a directory, a dumpfile or a composefs image",
    fullDescription: [
      "Prints the digest that a bootc host recomputes when it installs the image: the fs-verity digest of the EROFS",
      "image of the boot-transformed tree. A dumpfile (dump:FILE) and a composefs image (erofs:FILE) are taken as they are,",
      "never transformed.",
      "",
      "EXAMPLES",
      "  sealwright digest oci:./os:latest",
      "  sealwright digest oci-archive:os.tar --format all --json",
      "  sealwright digest dir:/mnt/rootfs --dumpfile tree.dump",
      "  sealwright digest dump:tree.dump --format v1-sha512",
    ].join("\n"),
  },
});

/** One digest alone is printed bare, for scripts; several with their format. */
function show(report: DigestReport): Shown {
  const digests = Object.entries(report.digests);
  const text =
    digests.length === 1 ? String(digests[0]?.[1]) : digests.map(([name, hex]) => `${name}  ${hex}`).join("\n");
  return { text, json: report };
}
