/** Lints of what a host needs to run a sealed image: initramfs, kernel, policy, room on the ESP. */
import { findText } from "../../formats/uki/index.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import { findBootLoader, findKernel, findPrepareRoot, findUkis } from "../../model/os/index.ts";
import type { Content } from "../../model/tree/tree.ts";
import type { LintContext } from "./context.ts";
import { type Finding, findingOf, type Lint } from "./lint.ts";

export const HOST_LINTS: readonly Lint[] = [
  {
    name: "esp-budget",
    level: "warning",
    description: "The ESP of a host must hold the boot files of every deployment and of the one being installed.",
    check: checkEspBudget,
  },
  {
    name: "initramfs-closed",
    level: "warning",
    description: "What is in an initramfs that cannot be opened here is not known.",
    check: async (context) => {
      const [closed] = (await context.initramfs())?.closed ?? [];
      if (closed === undefined) return undefined;
      const message = `found a part of the initramfs in ${closed.compression} that cannot be opened: ${closed.reason}`;
      return { code: `initramfs.${closed.code}`, message };
    },
  },
  {
    name: "initramfs-root-setup",
    level: "fatal",
    description: "The initramfs must have the program that mounts the tree named by composefs=.",
    check: checkRootSetup,
  },
  {
    name: "kernel-overlay-regression",
    level: "warning",
    description: "Kernels 7.0 up to at least 7.0.6 refuse overlays with fs-verity unless the distribution fixed them.",
    check: async (context) => {
      const found = await kernelVersion(context);
      const affected = found !== undefined && found.major === 7 && found.minor === 0 && found.patch <= 6;
      const message = `found kernel ${found?.text}: see https://github.com/bootc-dev/bootc/issues/2174`;
      return affected ? { code: "kernel.overlay-regression", message } : undefined;
    },
  },
  {
    name: "kernel-too-old",
    level: "fatal",
    description: "Kernels before 6.6 cannot require fs-verity of an overlay with data-only layers.",
    check: async (context) => {
      const found = await kernelVersion(context);
      const isOld = found !== undefined && (found.major < 6 || (found.major === 6 && found.minor < 6));
      return isOld
        ? { code: "kernel.too-old", message: `found kernel ${found.text}, expected 6.6 or later` }
        : undefined;
    },
  },
  {
    name: "prepare-root",
    level: "fatal",
    description: "bootc install wants a prepare-root.conf in /usr/lib/ostree or /etc/ostree.",
    check: ({ tree }) =>
      findPrepareRoot(tree) === undefined
        ? findingOf("image.prepare-root-missing", "/usr/lib/ostree/prepare-root.conf: found nothing, expected a file", [
            "/usr/lib/ostree/prepare-root.conf",
          ])
        : undefined,
  },
];

const MIB = 1024 * 1024;

/** ESP sizes that bootc install makes (bootc specification, section 3.3). */
const ESP_SIZES = [
  { code: "esp.above-1-gib", size: 1024 * MIB, of: "1 GiB of a host installed with composefs" },
  { code: "esp.above-512-mib", size: 512 * MIB, of: "512 MiB of a host installed without composefs" },
] as const;

/** A host keeps two deployments, and has the next one beside them while it upgrades. */
const DEPLOYMENTS = 2 + 1;

/** bootctl installs systemd-boot under two names. */
const LOADER_COPIES = 2;

function checkEspBudget({ settings, tree }: LintContext): Finding | undefined {
  const { kernel } = findKernel(tree);
  const ukis = findUkis(tree);
  const raw =
    kernel === undefined || kernel.unified ? [] : [kernel.vmlinuz, ...(kernel.initramfs ? [kernel.initramfs] : [])];
  const each = (ukis.length > 0 ? ukis : raw).reduce((sum, { content }) => sum + sizeOf(content), 0);
  const loader = settings.architecture && findBootLoader(tree, settings.architecture).systemdBoot;
  const needed = DEPLOYMENTS * each + LOADER_COPIES * (loader === undefined ? 0 : sizeOf(loader.content));
  const exceeded = ESP_SIZES.find(({ size }) => needed > size);
  if (exceeded === undefined) return undefined;
  const message = `found boot files of ${showSize(each)}, with ${DEPLOYMENTS} deployments ${showSize(needed)}, expected at most the ${exceeded.of}`;
  return { code: exceeded.code, message };
}

const sizeOf = (content: Content): number => (content.kind === "inline" ? content.bytes.length : Number(content.size));

/** Programs, units and scripts that compose the root, by path in the initramfs. */
const ROOT_SETUP = [
  "usr/lib/bootc/initramfs-setup",
  "usr/lib/systemd/system/bootc-root-setup.service",
  "usr/lib/systemd/system/composefs-setup-root.service",
  "usr/lib/composefs/root.sh",
  "scripts/composefs",
  "scripts/local-bottom/composefs",
  "hooks/composefs",
] as const;

/** composefs-rs's program, wherever a distribution puts it. */
const ROOT_SETUP_PROGRAM = "composefs-setup-root";

async function checkRootSetup(context: LintContext): Promise<Finding | undefined> {
  const initramfs = await context.initramfs();
  // Without an initramfs there is no kernel either; what stayed closed is said by another lint.
  if (initramfs === undefined || initramfs.closed.length > 0) return undefined;
  const paths = new Set(initramfs.entries.map(({ path }) => path.replace(/^(\.?\/)+/, "")));
  const isThere =
    ROOT_SETUP.some((path) => paths.has(path)) || [...paths].some((path) => path.endsWith(`/${ROOT_SETUP_PROGRAM}`));
  if (isThere) return undefined;
  const message = `found ${paths.size} files in the initramfs and none that mounts a composefs tree, expected one of bootc, composefs-rs or sealwright`;
  return { code: "initramfs.root-setup-missing", message };
}

async function kernelVersion(context: LintContext) {
  const uki = await context.uki();
  const text = (uki && findText(uki, ".uname")) ?? findKernel(context.tree).kernel?.version;
  const [, major, minor, patch = "0"] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text ?? "") ?? [];
  if (text === undefined || major === undefined) return undefined;
  return { text, major: Number(major), minor: Number(minor), patch: Number(patch) };
}
