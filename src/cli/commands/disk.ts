import { randomBytes } from "node:crypto";
import { buildCommand, buildRouteMap } from "@stricli/core";
import type { DiskFormat } from "../../actions/disk/options.ts";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import {
  diskArgument,
  imageArgument,
  jsonFlag,
  listFlag,
  noCacheFlag,
  platformFlag,
  requiredTextFlag,
  switchFlag,
  textFlag,
} from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";
import { parseSize } from "../size.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";

interface BuildFlags extends RegistryFlags {
  readonly output: string;
  readonly format: DiskFormat;
  readonly size?: number;
  readonly rootSize?: number;
  readonly espSize?: number;
  readonly filesystem?: string;
  readonly targetImgref?: string;
  readonly hostname?: string;
  readonly rootSshAuthorizedKeys?: string;
  readonly user?: readonly string[];
  readonly karg?: readonly string[];
  readonly allowMissingVerity: boolean;
  readonly ukiAddon?: readonly string[];
  readonly enrollKeys?: string;
  readonly randomUuids: boolean;
  readonly overwrite: boolean;
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

const sizeFlag = (brief: string) =>
  ({ kind: "parsed", parse: parseSize, optional: true, brief, placeholder: "N[K|M|G|T]" }) as const;

const buildDiskCommand = buildCommand<BuildFlags, [string], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const [{ buildDisk }, { showDisk }] = await Promise.all([
        import("../../actions/disk/build-disk.ts"),
        import("../show/disk.ts"),
      ]);
      const report = await buildDisk(image, {
        output: flags.output,
        overwrite: flags.overwrite,
        format: flags.format,
        size: flags.size,
        rootSize: flags.rootSize,
        espSize: flags.espSize,
        filesystem: flags.filesystem,
        targetReference: flags.targetImgref,
        hostname: flags.hostname,
        rootSshAuthorizedKeys: flags.rootSshAuthorizedKeys,
        users: (flags.user ?? []).map(parseUser),
        kernelArguments: flags.karg ?? [],
        allowMissingVerity: flags.allowMissingVerity,
        ukiAddons: flags.ukiAddon ?? [],
        enrollKeys: flags.enrollKeys,
        randomBytes: flags.randomUuids ? randomBytes : undefined,
        platform: flags.platform,
        registries: await registriesOf(this, flags),
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        buildTime: sourceDateEpoch(this.env),
        signal: this.signal,
        progress: this.progress,
      });
      return showDisk(report);
    });
  },
  parameters: {
    positional: imageArgument,
    flags: {
      output: requiredTextFlag("FILE", "Where the disk goes"),
      format: {
        kind: "enum",
        values: ["raw", "qcow2", "vmdk", "vhd", "gce", "raw.zst"],
        default: "raw",
        brief: "Format of the file; gce is disk.raw in a tar.gz",
      },
      size: sizeFlag("Size of the disk; the root partition takes what is left (default: what is needed, and 1 GiB)"),
      rootSize: sizeFlag("Size of the root partition"),
      espSize: sizeFlag("Size of the ESP (default: 1G, or three times what is on it)"),
      filesystem: textFlag("TYPE", "File system of the root partition: ext4"),
      targetImgref: textFlag("REF", "Where the host looks for updates: ostree-unverified-image:docker://..."),
      hostname: textFlag("NAME", "Host name, in the host's /etc"),
      rootSshAuthorizedKeys: textFlag("FILE", "Public keys that may log in as root"),
      user: listFlag("NAME[:FILE]", "User to make at the first boot, with public keys that may log in; repeatable"),
      karg: listFlag("ARG", "Kernel argument, for unsealed images only; repeatable"),
      allowMissingVerity: switchFlag("Write composefs=?DIGEST, for unsealed images only"),
      ukiAddon: listFlag("NAME|FILE", "UKI addon of the image, or a file that ends in .addon.efi; repeatable"),
      enrollKeys: textFlag("DIR", "Put DIR's PK, KEK and db where systemd-boot enrols them in setup mode"),
      randomUuids: switchFlag("Random identifiers in place of those derived from the image"),
      overwrite: switchFlag("Replace a file that exists"),
      platform: platformFlag,
      noCache: noCacheFlag,
      ...registryFlags,
      json: jsonFlag,
    },
    aliases: { o: "output" },
  },
  docs: {
    brief: "Build a bootable disk from an image, without root or loop devices",
    fullDescription: [
      "Writes the disk that bootc would install: GPT, an ESP with systemd-boot and the UKI, and ext4 with fs-verity on",
      "every object of the image. The same image and options give the same bytes.",
      "",
      "EXAMPLES",
      "  sealwright disk build oci:./sealed -o os.raw",
      "  sealwright disk build oci:./sealed -o os.qcow2 --format qcow2 --size 20G --enroll-keys keys",
      "  sealwright disk build oci:./sealed -o os.raw --hostname web1 --root-ssh-authorized-keys ~/.ssh/id_ed25519.pub",
    ].join("\n"),
  },
});

function parseUser(text: string): { readonly name: string; readonly authorizedKeys?: string } {
  const colon = text.indexOf(":");
  return colon === -1 ? { name: text } : { name: text.slice(0, colon), authorizedKeys: text.slice(colon + 1) };
}

const inspectDiskCommand = buildCommand<{ readonly json: boolean }, [string], Context>({
  async func(flags, disk) {
    await perform(this, flags.json, async () => {
      const [{ inspectDisk }, { showDiskReport }] = await Promise.all([
        import("../../actions/disk-inspect/inspect-disk.ts"),
        import("../show/disk-inspect.ts"),
      ]);
      return showDiskReport(await inspectDisk(disk));
    });
  },
  parameters: { positional: diskArgument, flags: { json: jsonFlag } },
  docs: {
    brief: "Show what is on a disk: partitions, boot entries, deployments, repository",
    fullDescription: [
      "Reads raw and qcow2 disks, without mounting them. Nothing is verified: that is sealwright verify DISK.",
      "",
      "EXAMPLES",
      "  sealwright disk inspect os.raw",
      "  sealwright disk inspect os.qcow2 --json",
    ].join("\n"),
  },
});

interface UpdateFlags extends RegistryFlags {
  readonly output?: string;
  readonly overwrite: boolean;
  readonly size?: number;
  readonly targetImgref?: string;
  readonly karg?: readonly string[];
  readonly allowMissingVerity: boolean;
  readonly ukiAddon?: readonly string[];
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

const updateDiskCommand = buildCommand<UpdateFlags, [string, string], Context>({
  async func(flags, disk, image) {
    await perform(this, flags.json, async () => {
      const [{ updateDisk }, { showDiskUpdate }] = await Promise.all([
        import("../../actions/disk/update-disk.ts"),
        import("../show/disk-update.ts"),
      ]);
      const report = await updateDisk(disk, image, {
        output: flags.output,
        overwrite: flags.overwrite,
        size: flags.size,
        targetReference: flags.targetImgref,
        kernelArguments: flags.karg ?? [],
        allowMissingVerity: flags.allowMissingVerity,
        ukiAddons: flags.ukiAddon ?? [],
        platform: flags.platform,
        registries: await registriesOf(this, flags),
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        buildTime: sourceDateEpoch(this.env),
        signal: this.signal,
        progress: this.progress,
      });
      return showDiskUpdate(report);
    });
  },
  parameters: {
    positional: { kind: "tuple", parameters: [...diskArgument.parameters, ...imageArgument.parameters] },
    flags: {
      output: textFlag("FILE", "Where the updated disk goes (default: in place of DISK, once it is whole)"),
      overwrite: switchFlag("Replace FILE when it exists"),
      size: sizeFlag("Let the disk grow to this size, and the root partition with it"),
      targetImgref: textFlag("REF", "Where the host looks for updates (default: where it did so far)"),
      karg: listFlag("ARG", "Kernel argument to add, for unsealed images only; repeatable"),
      allowMissingVerity: switchFlag("Write composefs=?DIGEST, for unsealed images only"),
      ukiAddon: listFlag("NAME|FILE", "UKI addon of the image, or a file that ends in .addon.efi; repeatable"),
      platform: platformFlag,
      noCache: noCacheFlag,
      ...registryFlags,
      json: jsonFlag,
    },
    aliases: { o: "output" },
  },
  docs: {
    brief: "Put a new image onto a disk, next to the deployment that is there",
    fullDescription: [
      "Does to a raw or qcow2 disk that no machine uses what bootc upgrade does on the machine: the new deployment boots",
      "first, the one before it stays for a rollback, and objects that both need are stored once. What the host has",
      "changed in /etc is carried over; /var and the boot loader stay as they are.",
      "",
      "The disk is written anew and takes its name when it is whole: an update that fails or is interrupted changes nothing.",
      "",
      "EXAMPLES",
      "  sealwright disk update golden.raw docker://registry.example/os:2",
      "  sealwright disk update golden.qcow2 oci:./sealed -o next.qcow2 --size 40G",
    ].join("\n"),
  },
});

export const diskRoutes = buildRouteMap<"build" | "inspect" | "update", Context>({
  routes: { build: buildDiskCommand, inspect: inspectDiskCommand, update: updateDiskCommand },
  docs: { brief: "Bootable disks" },
});
