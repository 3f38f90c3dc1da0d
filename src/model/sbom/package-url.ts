import type { OsRelease } from "../os/index.ts";
import type { Package } from "../packages/index.ts";

/** Namespace of a package URL: who made the packages. */
export type Distribution = Pick<OsRelease, "id" | "versionId">;

/** Types of package URLs for our package managers, and where a distribution does not say who it is. */
const TYPES = { dpkg: { type: "deb", namespace: "debian" }, rpm: { type: "rpm", namespace: "" } } as const;

/**
 * The package URL of an installed package, by which scanners look up what is known of it:
 * `pkg:deb/debian/bash@5.2.15-2?arch=amd64&distro=debian-12`.
 *
 * @see purl-spec, PURL-SPECIFICATION.rst; types deb and rpm
 */
export function packageUrl({ architecture, manager, name, version }: Package, { id, versionId }: Distribution): string {
  const { namespace, type } = TYPES[manager];
  const epoch = manager === "rpm" ? /^(\d+):(.*)$/s.exec(version) : null;
  const path = [type, id ?? namespace, name].filter((part) => part !== "").map(escape);
  const qualifiers = [
    ["arch", architecture],
    ["distro", id === undefined || versionId === undefined ? "" : `${id}-${versionId}`],
    ["epoch", epoch?.[1] ?? ""],
  ].filter(([, value]) => value !== "");
  const query = qualifiers.map(([key, value = ""]) => `${key}=${escape(value)}`).join("&");
  return `pkg:${path.join("/")}@${escape(epoch?.[2] ?? version)}${query === "" ? "" : `?${query}`}`;
}

/** Everything but what the specification leaves as it is; a colon need not be escaped. */
function escape(text: string): string {
  const escaped = encodeURIComponent(text).replaceAll("%3A", ":");
  return escaped.replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
