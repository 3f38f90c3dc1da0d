import { showByteString } from "../../lib/bytes/byte-string.ts";
import type { NodeChange } from "./compare-trees.ts";
import { changeOf, isTimesOnly } from "./entries.ts";
import type { UnitChange } from "./report.ts";

/** Where systemd looks for units (systemd.unit(5)) and presets (systemd.preset(5)) in an image. */
const UNIT_PATH = /^\/(?:usr\/lib|usr\/local\/lib|lib|etc)\/systemd\/(system|user)\/(.+)$/;
const PRESET_PATH = /^\/(?:usr\/lib|usr\/local\/lib|lib|etc)\/systemd\/(system|user)-preset\/([^/]+\.preset)$/;

const UNIT_NAME = /\.(?:service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;

type Found = Pick<UnitChange, "unit" | "scope" | "kind" | "by" | "target">;

/** Changes of units: what they are, what adds to them, and which of them start by themselves. */
export function reportUnits(changes: readonly NodeChange[]): UnitChange[] {
  return changes.flatMap((node) => {
    const found = isTimesOnly(node) ? undefined : unitOf(node);
    return found === undefined ? [] : [{ ...found, change: changeOf(node), path: node.path }];
  });
}

function unitOf({ after, before, path }: NodeChange): Found | undefined {
  const node = after ?? before;
  if (node === undefined || node.kind === "directory") return undefined;
  const [, presetScope, preset] = PRESET_PATH.exec(path) ?? [];
  if (preset !== undefined) return { unit: preset, scope: presetScope as Found["scope"], kind: "preset" };

  const [, scopeName, rest = ""] = UNIT_PATH.exec(path) ?? [];
  if (scopeName === undefined) return undefined;
  const scope = scopeName as Found["scope"];
  const [first = "", second, ...more] = rest.split("/");
  if (more.length > 0) return undefined;
  if (second === undefined) {
    if (!UNIT_NAME.test(first)) return undefined;
    if (node.kind !== "symlink") return { unit: first, scope, kind: "unit" };
    const target = showByteString(node.target);
    return target === "/dev/null"
      ? { unit: first, scope, kind: "mask" }
      : { unit: first, scope, kind: "alias", target };
  }
  if (/\.(?:wants|requires|upholds)$/.test(first)) return { unit: second, scope, kind: "enablement", by: first };
  if (first.endsWith(".d") && second.endsWith(".conf")) return { unit: first.slice(0, -2), scope, kind: "drop-in" };
  return undefined;
}
