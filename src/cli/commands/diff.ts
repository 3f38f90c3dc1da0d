import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { jsonFlag, noCacheFlag, platformFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly files: boolean;
  readonly times: boolean;
  readonly limit: number;
  readonly html?: string;
  readonly exitCode: boolean;
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

const source = (letter: string) => ({
  brief: `${letter}: an image (oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE), dir:PATH, dump:FILE or erofs:FILE`,
  parse: String,
  placeholder: letter,
});

/** What it throws is told as a mistake on the command line. */
function parseLimit(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new SyntaxError(`"${text}" is no number of lines`);
  return Number(text);
}

export const diffCommand = buildCommand<Flags, [string, string], Context>({
  async func(flags, a, b) {
    await perform(this, flags.json, async () => {
      const [{ diffImages }, { showDiff }] = await Promise.all([
        import("../../actions/diff/diff-images.ts"),
        import("../show/diff.ts"),
      ]);
      const report = await diffImages(a, b, {
        times: flags.times,
        platform: flags.platform,
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      });
      if (flags.html !== undefined) {
        const [{ renderDiff }, { storeFile }] = await Promise.all([
          import("../show/diff-html.ts"),
          import("../../model/host-io/files.ts"),
        ]);
        await storeFile(flags.html, Buffer.from(renderDiff(report)), { overwrite: true });
      }
      return showDiff(report, flags);
    });
  },
  parameters: {
    positional: { kind: "tuple", parameters: [source("A"), source("B")] },
    flags: {
      files: switchFlag("Every changed file in a line of its own instead of a tree"),
      times: switchFlag("Also files of which only the time differs"),
      limit: {
        kind: "parsed",
        parse: parseLimit,
        default: "40",
        brief: "Most lines of a part of the text; 0 for all",
        placeholder: "N",
      },
      html: textFlag("FILE", "Also write the report as one HTML file"),
      exitCode: switchFlag("Exit with 1 when the trees differ"),
      platform: platformFlag,
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Show what changed between two images, and what a host would fetch",
    fullDescription: [
      "What gives rights or runs by itself comes first: set-id programs and capabilities, systemd units, kernel",
      "arguments, UKIs, the initramfs, packages. Then files, sizes, and the bytes that a host holding A fetches for B.",
      "Files are compared by digest. The exit status is 0 whenever the report was made, unless --exit-code is given.",
      "",
      "EXAMPLES",
      "  sealwright diff oci:./os:1.0 oci:./os:1.1",
      "  sealwright diff oci:./os oci:./sealed --html changes.html",
      "  sealwright diff oci:./os dir:/mnt/rootfs --files --limit 0",
      "  sealwright diff dump:old.dump dump:new.dump --json --exit-code",
    ].join("\n"),
  },
});
