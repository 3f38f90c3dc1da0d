import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { jsonFlag, listFlag, noCacheFlag, numberFlag, platformFlag, requiredTextFlag, switchFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";

const COMPRESSIONS = ["zstd", "gzip", "none"] as const;

interface Flags extends RegistryFlags {
  readonly to: string;
  readonly maxLayers?: number;
  readonly previous?: readonly string[];
  readonly repack: boolean;
  readonly compression?: (typeof COMPRESSIONS)[number];
  readonly level?: number;
  readonly overwrite: boolean;
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

export const rechunkCommand = buildCommand<Flags, [string], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const [{ rechunkImage }, { showRechunk }] = await Promise.all([
        import("../../actions/rechunk/rechunk-image.ts"),
        import("../show/rechunk.ts"),
      ]);
      const report = await rechunkImage(image, {
        to: flags.to,
        ...(flags.maxLayers === undefined ? {} : { maxLayers: flags.maxLayers }),
        previous: flags.previous ?? [],
        repack: flags.repack,
        compression: flags.compression,
        level: flags.level,
        overwrite: flags.overwrite,
        buildTime: sourceDateEpoch(this.env),
        platform: flags.platform,
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      });
      return showRechunk(report);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "Image to cut, in any transport", parse: String, placeholder: "IMAGE" }],
    },
    flags: {
      to: requiredTextFlag("IMAGE", "Where the image goes: a registry, oci:DIR[:TAG] or oci-archive:FILE[:TAG]"),
      maxLayers: numberFlag("N", "Most layers, 1 to 500 (default: 64)"),
      previous: listFlag("IMAGE", "An earlier build, newest first; its layers are kept where they can be; repeatable"),
      repack: switchFlag("Pack anew: earlier builds only tell how often things change"),
      compression: {
        kind: "enum",
        values: COMPRESSIONS,
        optional: true,
        brief: "Of the layers (default: zstd; gzip for an image with a Docker manifest)",
      },
      level: numberFlag("N", "Of the compression: 1 to 19 for zstd (default: 9), 0 to 9 for gzip (default: 6)"),
      overwrite: switchFlag("Replace an archive that exists"),
      platform: platformFlag,
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Cut the layers of an image by content, so that the next build shares most of them",
    fullDescription: [
      "Files of one package (dpkg, RPM, pacman), of one user.component, and large files stay together; what rarely changes",
      "is kept apart from what often does. The tree stays the same to the byte, so its digest and a seal stay valid: this",
      "is checked before anything is stored. Needs room for the unpacked layers in TMPDIR. Layers get no zstd:chunked index.",
      "",
      "EXAMPLES",
      "  sealwright rechunk oci:./os --to oci:./chunked:1.0",
      "  sealwright rechunk oci:./os --to quay.io/example/os:1.1 --previous quay.io/example/os:1.0",
      "  sealwright rechunk oci:./os --to oci-archive:os.tar --max-layers 30 --compression gzip --level 9",
    ].join("\n"),
  },
});
