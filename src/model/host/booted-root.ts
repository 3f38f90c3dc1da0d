import { findMount, type Mount } from "./mountinfo.ts";

/** What `/` is. */
export interface BootedRoot {
  readonly mount: Mount;
  /** The digest in the name of the mount, lower-case hex; absent when the root is not composed. */
  readonly digestHex: string | undefined;
  /** A writable layer in memory lies over the composed tree, and hides how that one is mounted. */
  readonly transient: boolean;
  /** overlayfs compares the fs-verity digest of every file with the one in the EROFS image. */
  readonly verityRequired: boolean;
}

/** Source of the mount: user space knows by it which deployment runs (bootc specification, 4.7 and 4.8). */
const SOURCE = /^(transient:composefs=|composefs:)([0-9a-f]+)$/;

export function findBootedRoot(mounts: readonly Mount[]): BootedRoot | undefined {
  const mount = findMount(mounts, "/");
  if (mount === undefined) return undefined;
  const [, form, digestHex] = (mount.type === "overlay" && SOURCE.exec(mount.source)) || [];
  return {
    mount,
    digestHex,
    transient: form === "transient:composefs=",
    verityRequired: mount.superOptions.includes("verity=require"),
  };
}
