import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { jsonFlag, noCacheFlag, numberFlag, platformFlag, switchFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly rechunked: boolean;
  readonly noDeltas: boolean;
  readonly limit?: number;
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

const source = (brief: string, placeholder: string) => ({ brief, parse: String, placeholder });

export const planUpdateCommand = buildCommand<Flags, [string, string], Context>({
  async func(flags, from, to) {
    await perform(this, flags.json, async () => {
      const [{ planUpdate }, { showUpdate }] = await Promise.all([
        import("../../actions/plan-update/plan-update.ts"),
        import("../show/plan-update.ts"),
      ]);
      const report = await planUpdate(from, to, {
        noDeltas: flags.noDeltas,
        rechunked: flags.rechunked,
        platform: flags.platform,
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      });
      return showUpdate(report, flags.limit);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [
        source("What hosts have: an image in any transport, dir:PATH, dump:FILE or erofs:FILE", "FROM"),
        source("What they are to get", "TO"),
      ],
    },
    flags: {
      rechunked: switchFlag("Also by layers as rechunk would cut them, which takes as long as rechunking"),
      noDeltas: switchFlag("Only layers and objects: contents are not read"),
      limit: numberFlag("N", "Most lines of each list in the text (default: 10; 0 for all)"),
      platform: platformFlag,
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Show what an update would cost hosts: by layers, by objects, by deltas, and what causes it",
    fullDescription: [
      "By layers: blobs that the old image has not, as they are stored. By objects: files whose fs-verity digest is new, as",
      "they are, and each compressed on its own. By deltas: the same files, each as a change of the old file at the same",
      "place (or of the one with the same name but for versions), as zstd --patch-from makes it. Objects and deltas are",
      "measured by compressing them here; bootc fetches layers.",
      "",
      "EXAMPLES",
      "  sealwright plan-update quay.io/example/os:1.0 quay.io/example/os:1.1",
      "  sealwright plan-update oci:./os:1.0 oci:./os:1.1 --rechunked",
      "  sealwright plan-update oci:./os:1.0 dir:/mnt/rootfs --limit 0 --json",
    ].join("\n"),
  },
});
