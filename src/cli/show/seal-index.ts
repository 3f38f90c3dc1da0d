import type { SealIndexReport } from "../../actions/seal-index/report.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

/** A digest where the index does not say for what an entry is. */
const name = (platform: string | undefined, digest: string): string => platform ?? digest;

/** The new index, then a line or two for each platform. */
export function showSealIndex(report: SealIndexReport): Shown {
  const { destination, kept, manifestDigest, sealed } = report;
  const width = Math.max(
    ...sealed.map(({ platform, report: { sourceManifest } }) => name(platform, sourceManifest).length),
    ...kept.map(({ digest, platform }) => name(platform, digest).length),
  );
  const lines = [
    `sealed index  ${destination}  ${manifestDigest}`,
    ...sealed.flatMap(({ platform, report: image }) => [
      ...image.warnings.map(({ code, message }) => `warning: ${platform}: ${message} [${code}]`),
      `  sealed  ${name(platform, image.sourceManifest).padEnd(width)}  ${image.manifestDigest}`,
      ...Object.entries(image.digests).map(([format, hex]) => `          ${"".padEnd(width)}  ${format} ${hex}`),
    ]),
    ...kept.map(
      ({ code, digest, platform, reason }) => `  kept    ${name(platform, digest).padEnd(width)}  ${reason} [${code}]`,
    ),
    `signer        ${showSigner(report)}`,
  ];
  return { text: lines.map(printable).join("\n"), json: report };
}

function showSigner({ sealed }: SealIndexReport): string {
  const signer = sealed[0]?.report.signer;
  return signer === undefined
    ? ""
    : `${signer.subject}${signer.ephemeral ? " (ephemeral)" : ""}  sha256 ${signer.fingerprint}`;
}
