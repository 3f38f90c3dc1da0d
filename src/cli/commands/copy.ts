import { buildCommand } from "@stricli/core";
import type { CopyReport } from "../../actions/copy/copy-image.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Context } from "../context.ts";
import { jsonFlag, platformFlag, switchFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly all: boolean;
  readonly referrers: boolean;
  readonly overwrite: boolean;
  readonly platform?: string;
  readonly json: boolean;
}

export const copyCommand = buildCommand<Flags, [string, string], Context>({
  async func(flags, from, to) {
    await perform(this, flags.json, async () => {
      const { copyImage } = await import("../../actions/copy/copy-image.ts");
      const report = await copyImage(from, to, {
        all: flags.all,
        referrers: flags.referrers,
        overwrite: flags.overwrite,
        platform: flags.platform,
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      });
      return show(report);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [
        { brief: "Image to copy, in any transport", parse: (input: string) => input, placeholder: "FROM" },
        {
          brief: "Where it goes: a registry, oci:DIR[:TAG], oci-archive:FILE or containers-storage:NAME",
          parse: (input: string) => input,
          placeholder: "TO",
        },
      ],
    },
    flags: {
      all: switchFlag("Copy every image of an index, and the index"),
      referrers: switchFlag("Copy what is said about the image, too: signatures, attestations, SBOMs"),
      overwrite: switchFlag("Replace an archive that exists"),
      platform: platformFlag,
      ...registryFlags,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Copy an image between registries, layouts, archives and container engines",
    fullDescription: [
      "Manifests keep their bytes, so the digest stays. Blobs that the destination has are not sent, those of another",
      "repository in the same registry are mounted, and every byte that is sent is checked against its digest.",
      "--referrers takes along what the registry lists as referring to the image, and what cosign keeps beside it.",
      "",
      "EXAMPLES",
      "  sealwright copy quay.io/example/os:latest oci:./os:latest",
      "  sealwright copy registry.example/os:latest registry.example/mirror/os:latest --all --referrers",
      "  sealwright copy oci-archive:os.tar containers-storage:localhost/os:latest",
    ].join("\n"),
  },
});

function show(report: CopyReport): Shown {
  const { blobs, destination, images, manifestDigest, moved, referrers } = report;
  const about = referrers === 0 ? "" : ` with ${referrers} referrer${referrers === 1 ? "" : "s"}`;
  const what = `${images} image${images === 1 ? "" : "s"}${about}`;
  const text = `${destination}@${manifestDigest}\n${what}, ${blobs.count} blobs of ${showSize(blobs.size)}, ${showSize(moved)} read`;
  return { text, json: report };
}
