import { buildCommand } from "@stricli/core";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { jsonFlag, listFlag, noCacheFlag, platformFlag, switchFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly fatalWarnings: boolean;
  readonly skip?: readonly string[];
  readonly list: boolean;
  readonly noTruncate: boolean;
  readonly cert?: readonly string[];
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

export const lintCommand = buildCommand<Flags, [string?], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const [{ lintImage }, { LINTS }, { showLint, showLints }] = await Promise.all([
        import("../../actions/lint/lint-image.ts"),
        import("../../actions/lint/lints.ts"),
        import("../show/lint.ts"),
      ]);
      if (flags.list) return showLints(LINTS);
      if (image === undefined) {
        throw new UsageError("lint.image-missing", "no image to lint: expected one, or --list");
      }
      const report = await lintImage(image, {
        skip: flags.skip ?? [],
        fatalWarnings: flags.fatalWarnings,
        certificates: flags.cert ?? [],
        platform: flags.platform,
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        now: new Date(),
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      });
      return showLint(report, flags.noTruncate);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [
        {
          brief: "oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or dir:PATH",
          parse: String,
          placeholder: "IMAGE",
          optional: true,
        },
      ],
    },
    flags: {
      fatalWarnings: switchFlag("Warnings fail as well"),
      skip: listFlag("NAME", "Leave a lint out; repeatable"),
      list: switchFlag("List the lints"),
      noTruncate: switchFlag("Show every path of a finding instead of five"),
      cert: listFlag("FILE", "Also look at the validity of this certificate, PEM or DER; repeatable"),
      platform: platformFlag,
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Look for mistakes in an image: the lints of bootc, and those of sealed images",
    fullDescription: [
      "Runs the lints of `bootc container lint` under the same names, with the same levels and output, and those of the",
      "chain of trust: UKI, signatures, command line, initramfs, and what makes digests differ. The exit status is 1 when",
      "a fatal lint fails, or any with --fatal-warnings.",
      "",
      "EXAMPLES",
      "  sealwright lint oci:./sealed --cert keys/db.crt",
      "  sealwright lint dir:/mnt/rootfs --fatal-warnings --skip nonempty-boot",
      "  sealwright lint --list",
    ].join("\n"),
  },
});
