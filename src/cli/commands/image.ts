import { buildCommand, buildRouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, listFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";

interface Flags {
  readonly output: string;
  readonly suite: string;
  readonly arch?: string;
  readonly package?: readonly string[];
  readonly mirror?: readonly string[];
  readonly packageCache?: string;
  readonly overwrite: boolean;
  readonly json: boolean;
}

const debianCommand = buildCommand<Flags, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const [{ buildDebianImage }, recipes, { fetchReleases }, { showDebianImage }, { hostPlatform }] =
        await Promise.all([
          import("../../actions/debian-image/build.ts"),
          import("../../actions/debian-image/recipe.ts"),
          import("../../actions/debian-image/releases.ts"),
          import("../show/debian-image.ts"),
          import("../../model/image/host-platform.ts"),
        ]);
      const sources = flags.mirror ?? recipes.debianSources(flags.suite);
      const epoch = sourceDateEpoch(this.env);
      const kernel = recipes.kernelPackage(flags.arch ?? hostPlatform().architecture);
      const report = await buildDebianImage(
        {
          suite: flags.suite,
          ...(flags.arch && { architecture: flags.arch }),
          packages: [kernel, ...recipes.BASE_PACKAGES, ...(flags.package ?? [])],
          sources,
          sourceDateEpoch:
            epoch === undefined ? (await fetchReleases(sources, this.signal)).newest : epoch.getTime() / 1000,
        },
        {
          to: flags.output,
          env: Object.fromEntries(Object.entries(this.env).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]]))),
          ...(flags.packageCache === undefined ? {} : { packageCache: flags.packageCache }),
          overwrite: flags.overwrite,
          signal: this.signal,
          progress: this.progress,
        },
      );
      return showDebianImage(flags.output, report);
    });
  },
  parameters: {
    flags: {
      output: requiredTextFlag("IMAGE", "Where the image goes: oci:DIR[:TAG] or oci-archive:FILE"),
      suite: { kind: "parsed", parse: String, default: "trixie", brief: "Release of Debian", placeholder: "NAME" },
      arch: textFlag("ARCH", "amd64 or arm64 (default: that of this machine); another one is emulated"),
      package: listFlag("NAME", "Package to install besides kernel, systemd and boot loader; repeatable"),
      mirror: listFlag("LINE", "Line of sources.list in the place of Debian's own; repeatable"),
      packageCache: textFlag("DIR", "Directory that exists, for packages once downloaded"),
      overwrite: switchFlag("Replace an archive that exists"),
      json: jsonFlag,
    },
    aliases: { o: "output" },
  },
  docs: {
    brief: "Build a bootable Debian image from packages, ready to be sealed",
    fullDescription: [
      "Installs with mmdebstrap, as root in a chroot and otherwise in a user namespace, and cuts the tree into layers: base,",
      "kernel, configuration. The same versions of packages and the same SOURCE_DATE_EPOCH (default: the date of the",
      "archive) give the same bytes. The image has the initramfs part that composes the root from the sealed tree: that of",
      "initramfs-tools, or with --package dracut-core that of dracut.",
      "",
      "--arch runs the programs of another architecture by qemu-user and binfmt_misc, which takes several times longer.",
      "",
      "EXAMPLES",
      "  sealwright image debian -o oci:./os:trixie",
      "  sealwright image debian --package openssh-server --package vim-tiny -o oci-archive:os.tar",
    ].join("\n"),
  },
});

export const imageRoutes = buildRouteMap<"debian", Context>({
  routes: { debian: debianCommand },
  docs: { brief: "Base images" },
});
