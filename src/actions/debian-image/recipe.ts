/** What a Debian image is made of, and the command line that makes its root file system. */
import { fileURLToPath } from "node:url";

export interface DebianRecipe {
  /** Code name of the release: `trixie`. */
  readonly suite: string;
  /** `amd64`, `arm64`: Debian and OCI have the same names. That of this machine when absent. */
  readonly architecture?: string;
  readonly packages: readonly string[];
  /** Lines of sources.list. */
  readonly sources: readonly string[];
  /** Seconds since 1970. No file of the image is newer, and the image itself is as old as this. */
  readonly sourceDateEpoch: number;
}

/** What every sealed Debian image needs in order to boot: about 250 MB. */
export const BASE_PACKAGES: readonly string[] = [
  "systemd",
  "systemd-sysv",
  "systemd-boot",
  "systemd-boot-efi",
  "udev",
  "kmod",
  "dbus",
  "initramfs-tools",
  "busybox",
  "zstd",
  "fsverity",
  "iproute2",
];

/** The package of Debian's current kernel, by the architecture's name at OCI: `amd64`, `arm64`. */
export const kernelPackage = (architecture: string): string => `linux-image-${architecture}`;

/** The release with its updates, from the servers of Debian. */
export function debianSources(suite: string): readonly string[] {
  return [
    `deb http://deb.debian.org/debian ${suite} main`,
    `deb http://deb.debian.org/debian ${suite}-updates main`,
    `deb http://security.debian.org/debian-security ${suite}-security main`,
  ];
}

/** Directory of what this project puts into the image; see `finish.sh` there for what becomes of it. */
export const HOST_FILES = fileURLToPath(new URL("../../../host/debian", import.meta.url));

/** Documentation, translations and manuals stay out, copyright files stay in. */
const LEFT_OUT = [
  "path-exclude=/usr/share/doc/*",
  "path-include=/usr/share/doc/*/copyright",
  "path-exclude=/usr/share/info/*",
  "path-exclude=/usr/share/locale/*",
  "path-exclude=/usr/share/man/*",
];

/** In the root file system, while it is made. */
const STAGED = "/run/sealed-image";

export interface MmdebstrapOptions {
  /** A directory that exists; packages downloaded once are taken from there. */
  readonly packageCache?: string;
}

/**
 * The arguments that make mmdebstrap write the root file system of the image to its standard output, as a tar.
 *
 * Nothing reaches the host but the package cache. The mode is mmdebstrap's choice: a plain chroot for root, a user
 * namespace for everybody else.
 *
 * @see mmdebstrap(1), "HOOKS"
 */
export function mmdebstrapArguments(recipe: DebianRecipe, options: MmdebstrapOptions = {}): readonly string[] {
  const { packageCache } = options;
  const ours = ["composefs", "dracut", "image", "initramfs-tools"].map((name) => quoteForHook(`${HOST_FILES}/${name}`));
  return [
    "--variant=minbase",
    "--format=tar",
    ...(recipe.architecture === undefined ? [] : [`--architectures=${recipe.architecture}`]),
    // finish.sh has cleaned up: after it apt would only fill /var again. An empty machine-id is not a first boot to
    // systemd, "uninitialized" is.
    "--skip=cleanup/apt,cleanup/reproducible",
    `--include=${recipe.packages.join(",")}`,
    ...LEFT_OUT.map((option) => `--dpkgopt=${option}`),
    ...(packageCache === undefined ? [] : packageCacheArguments(packageCache)),
    `--customize-hook=mkdir "$1${STAGED}"`,
    `--customize-hook=copy-in ${ours.join(" ")} ${STAGED}`,
    `--customize-hook=chroot "$1" sh ${STAGED}/image/finish.sh`,
    recipe.suite,
    "-",
    ...recipe.sources,
  ];
}

/** The initial RAM file system is made once, by finish.sh, when our part of it is in place. */
export function mmdebstrapEnvironment(recipe: DebianRecipe): Readonly<Record<string, string>> {
  return { SOURCE_DATE_EPOCH: String(recipe.sourceDateEpoch), INITRD: "No" };
}

function packageCacheArguments(directory: string): readonly string[] {
  const cache = quoteForHook(directory);
  return [
    "--skip=download/empty,essential/unlink",
    '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
    `--setup-hook=sync-in ${cache} /var/cache/apt/archives`,
    `--customize-hook=sync-out /var/cache/apt/archives ${cache}`,
  ];
}

/** mmdebstrap splits the arguments of its own hooks like a shell. */
function quoteForHook(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}
