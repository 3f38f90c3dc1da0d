import type { AttachReport } from "../../actions/attach/attach-image.ts";
import type { AttachedTo } from "../../actions/attach/report.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

/** What was said about each image: kind, the digest of what says it, and whether it is signed. */
export function attachedLines(images: readonly AttachedTo[]): string[] {
  return images.flatMap(({ attached, manifestDigest, platform, skipped }) =>
    attached.length === 0 && skipped.length === 0
      ? []
      : [
          `attached to   ${manifestDigest}${platform === undefined ? "" : `  ${platform}`}`,
          ...attached.map(
            ({ digest, kind, says, signed }) =>
              `  ${kind.padEnd(11)} ${digest.slice(0, 19)}  ${signed ? "signed  " : "unsigned"}  ${printable(says)}`,
          ),
          ...skipped.map(({ code, kind, reason }) => `  ${kind.padEnd(11)} left out: ${printable(reason)} [${code}]`),
        ],
  );
}

/** A seal with what was said about it. */
export function withAttached(shown: Shown, images: readonly AttachedTo[]): Shown {
  const text = [shown.text, ...attachedLines(images)].join("\n");
  return { ...shown, text, json: { ...(shown.json as object), attached: images } };
}

export function showAttach(report: AttachReport): Shown {
  return { text: attachedLines(report.images).join("\n"), json: report };
}
