/**
 * Which layer a path belongs to. What changes together lies together, what changes rarely lies low: an update of
 * the configuration is a few megabytes to download.
 */
export interface LayerRule {
  readonly name: string;
  /** For the history of the image. */
  readonly comment: string;
  /** Relative paths without a slash at the end. The last rule that matches decides. */
  readonly paths: RegExp;
}

export const DEBIAN_LAYERS: readonly LayerRule[] = [
  { name: "base", comment: "programs and libraries", paths: /^/ },
  { name: "kernel", comment: "kernel, modules, firmware", paths: /^usr\/lib\/(?:modules|firmware)(?:\/|$)/ },
  {
    name: "configuration",
    comment: "initial RAM file system, configuration, package database",
    paths:
      /^(?:etc|var|usr\/lib\/(?:bootc|ostree|sysimage|modules\/[^/]+\/initramfs\.img|tmpfiles\.d\/sealed-image.*))(?:\/|$)/,
  },
];

export function layerOf(rules: readonly LayerRule[], path: string): number {
  return Math.max(
    0,
    rules.findLastIndex((rule) => rule.paths.test(path)),
  );
}
