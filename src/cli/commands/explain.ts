import { buildCommand } from "@stricli/core";
import type { ExplainOptions, SideOptions } from "../../actions/explain/index.ts";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { jsonFlag, noCacheFlag, platformFlag, switchFlag, textFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly against?: string;
  readonly format?: string;
  readonly plain: boolean;
  readonly examples?: number;
  readonly html?: string;
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

export const explainCommand = buildCommand<Flags, [string, string?], Context>({
  async func(flags, first, second) {
    await perform(this, flags.json, async () => {
      const options = {
        plain: flags.plain,
        platform: flags.platform,
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        registries: await registriesOf(this, flags),
        signal: this.signal,
        progress: this.progress,
      };
      const { page, shown } =
        flags.against === undefined
          ? await difference(first, second, {
              ...options,
              format: flags.format,
              ...(flags.examples === undefined ? {} : { maxExamples: flags.examples }),
            })
          : await variant(first, second, flags.against, options);
      if (flags.html === undefined) return shown;
      const [{ Readable }, { storeFile }] = await Promise.all([
        import("node:stream"),
        import("../../model/host-io/files.ts"),
      ]);
      await storeFile(flags.html, Readable.from([Buffer.from(page())]), { overwrite: true });
      return shown;
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [
        { brief: "Image, dir:PATH, dump:FILE or erofs:FILE", parse: String, placeholder: "A" },
        { brief: "As A; without it, the dump inside the image A", parse: String, placeholder: "B", optional: true },
      ],
    },
    flags: {
      against: textFlag("DIGEST", "Find out how this digest comes about: hex, or sha512:HEX, or sha256:HEX"),
      format: textFlag("FORMAT", "Format of the digests (default: v1 with the algorithm of the dump, else v1-sha512)"),
      plain: switchFlag("Leave out the boot transform"),
      examples: {
        kind: "parsed",
        parse: parseCount,
        optional: true,
        brief: "Examples of each cause (default: 5)",
        placeholder: "COUNT",
      },
      html: textFlag("FILE", "Also write the report as one HTML file"),
      platform: platformFlag,
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Say why two digests differ, or where a digest comes from",
    fullDescription: [
      "Compares two trees after the transforms of a digest (dumps and EROFS images as they are) and groups what differs",
      "by cause, with examples, the layers that brought them in, and what to change. With --against, searches what tools",
      "and their versions do differently for the way that leads to the digest.",
      "The exit status is 0 when the digests are equal or the digest was found, 80 when not.",
      "",
      "EXAMPLES",
      "  sealwright explain oci:./os dir:/mnt/rootfs",
      "  sealwright explain oci:./os dump:host.dump --html report.html",
      "  sealwright explain oci:./os erofs:/sysroot/composefs/images/DIGEST --format v2-sha512",
      "  sealwright explain oci:./sealed",
      "  sealwright explain oci:./os --against sha512:DIGEST",
    ].join("\n"),
  },
});

interface Outcome {
  readonly shown: Shown;
  readonly page: () => string;
}

async function difference(first: string, second: string | undefined, options: ExplainOptions): Promise<Outcome> {
  const [{ explainDifference }, { showExplanation }, { explanationPage }] = await loadParts();
  const report = await explainDifference(first, second, options);
  return { shown: showExplanation(report), page: () => explanationPage(report) };
}

async function variant(
  first: string,
  second: string | undefined,
  digest: string,
  options: SideOptions,
): Promise<Outcome> {
  if (second !== undefined) {
    throw new UsageError("explain.against.with-second", "--against takes one image, not two");
  }
  const [{ findVariant }, { showVariant }, { variantPage }] = await loadParts();
  const report = await findVariant(first, digest, options);
  return { shown: showVariant(report), page: () => variantPage(report) };
}

async function loadParts() {
  return await Promise.all([
    import("../../actions/explain/index.ts"),
    import("../show/explain.ts"),
    import("../show/explain-html.ts"),
  ]);
}

/** Safety limit: examples are kept in memory. */
const MAX_EXAMPLES = 100_000;

function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= MAX_EXAMPLES) return count;
  throw new UsageError("explain.examples.malformed", `found "${text}", expected a number up to ${MAX_EXAMPLES}`);
}
