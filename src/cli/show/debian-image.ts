import type { DebianImageReport } from "../../actions/debian-image/build.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";

export function showDebianImage(output: string, { layers, manifestDigest }: DebianImageReport): Shown {
  const lines = layers.map(
    ({ descriptor, rule, size }) =>
      `  ${rule.name.padEnd(14)} ${showSize(size).padStart(10)}, stored ${showSize(descriptor.size).padStart(10)}  ${rule.comment}`,
  );
  const json = {
    output,
    manifestDigest,
    layers: layers.map(({ descriptor, rule, size }) => ({
      name: rule.name,
      size,
      digest: descriptor.digest,
      storedSize: descriptor.size,
    })),
  };
  return { text: [`${output}  ${manifestDigest}`, ...lines].join("\n"), json };
}
