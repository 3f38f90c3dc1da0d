import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import {
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
import { type SignerFlags, signerFlags, signerOptions } from "../signer-flags.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";

interface Flags extends RegistryFlags, SignerFlags {
  readonly to: string;
  readonly ephemeralKeys: boolean;
  readonly writeCert?: string;
  readonly karg?: readonly string[];
  readonly addon?: readonly string[];
  readonly keepKernel: boolean;
  readonly stub?: string;
  readonly digestFormats?: string;
  readonly format?: string;
  readonly normalize: boolean;
  readonly normalizeAll: boolean;
  readonly noDump: boolean;
  readonly allowMissingVerity: boolean;
  readonly overwrite: boolean;
  readonly platform?: string;
  readonly noCache: boolean;
  readonly json: boolean;
}

export const sealCommand = buildCommand<Flags, [string], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const [{ sealReference }, { showSeal }, { showSealIndex }] = await Promise.all([
        import("../../actions/seal-index/seal-index.ts"),
        import("../show/seal.ts"),
        import("../show/seal-index.ts"),
      ]);
      const report = await sealReference(image, {
        to: flags.to,
        ...signerOptions(this, flags),
        key: flags.key,
        ephemeralKeys: flags.ephemeralKeys,
        writeCertificateTo: flags.writeCert,
        kernelArguments: flags.karg ?? [],
        addons: flags.addon ?? [],
        keepKernel: flags.keepKernel,
        stubPath: flags.stub,
        digestFormats: flags.digestFormats ?? flags.format,
        normalize: flags.normalize,
        normalizeAll: flags.normalizeAll,
        noDump: flags.noDump,
        allowMissingVerity: flags.allowMissingVerity,
        overwrite: flags.overwrite,
        platform: flags.platform,
        cacheDirectory: flags.noCache ? undefined : cacheDirectory(this.env),
        buildTime: sourceDateEpoch(this.env),
        registries: await registriesOf(this, flags),
        progress: this.progress,
      });
      return "sealed" in report ? showSealIndex(report) : showSeal(report);
    });
  },
  parameters: {
    positional: imageArgument,
    flags: {
      to: requiredTextFlag(
        "IMAGE",
        "Where the sealed image goes: HOST/NAME[:TAG] in a registry, oci:DIR[:TAG] or oci-archive:FILE",
      ),
      ...signerFlags,
      ephemeralKeys: switchFlag("Sign with a key made for this run and thrown away (pull-request builds)"),
      writeCert: textFlag("FILE", "Write the signing certificate here, to verify with"),
      karg: listFlag("ARG", "Kernel argument, after those of kargs.d and the digest; repeatable"),
      addon: listFlag("FILE", "UKI addon to sign and ship, for this UKI; global:FILE for every UKI; repeatable"),
      keepKernel: switchFlag("Leave vmlinuz and initramfs.img in /usr/lib/modules as well"),
      stub: textFlag("FILE", "systemd-stub to build on (default: the one in the image)"),
      digestFormats: textFlag(
        "LIST",
        "Formats of the digests on the command line (default: v1-sha512, what bootc 1.16.4 and later compute)",
      ),
      format: textFlag("FORMAT", "The same, for one format"),
      normalize: switchFlag(
        "Make every tool see the same tree: whole seconds, declared directories, no foreign xattrs",
      ),
      normalizeAll: switchFlag("The same, also where it ships more than 64 MiB of files again"),
      noDump: switchFlag("Leave out /boot/VERSION.dump, the dump of the sealed tree"),
      allowMissingVerity: switchFlag("Write composefs=?DIGEST: hosts without fs-verity boot, unprotected"),
      overwrite: switchFlag("Replace an archive that exists"),
      platform: platformFlag,
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Seal an image: signed boot loader, signed UKI with the digest of the tree, one layer on top",
    fullDescription: [
      "Moves the kernel and initramfs into a unified kernel image whose command line carries the composefs digest of the",
      "tree, signs it and systemd-boot, and adds them as one layer. The layers below keep their bytes. What was written is",
      "read again and the digest recomputed before the image gets its name.",
      "Of an index, every image that can be sealed is, and the others stay; --platform seals one alone.",
      "",
      "EXAMPLES",
      "  sealwright seal oci:./os --to oci:./sealed --key keys/db.key --cert keys/db.crt",
      "  sealwright seal oci:./os --to oci:./sealed --key 'pkcs11:token=prod;object=db'",
      "  sealwright seal oci:./os --to oci-archive:sealed.tar --ephemeral-keys --write-cert pr.crt",
      "  sealwright seal quay.io/example/os:latest --to quay.io/example/os:sealed --key keys/db.key --cert keys/db.crt",
      '  sealwright seal oci:./os --to oci:./sealed --key keys/db.key --cert keys/db.crt --karg "console=ttyS0"',
    ].join("\n"),
  },
});
