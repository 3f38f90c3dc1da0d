import { buildCommand } from "@stricli/core";
import type { SealedManifest, SealOptions } from "../../actions/seal/seal-image.ts";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { imageArgument, jsonFlag, listFlag, noCacheFlag, platformFlag, switchFlag, textFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";
import { withAttached } from "../show/attach.ts";
import { pairKeys, type SignersFlags, signerRules, signersFlags } from "../signer-flags.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";
import { version } from "../version.ts";

interface Flags extends RegistryFlags, SignersFlags {
  readonly to?: string;
  readonly prepare?: string;
  readonly attach?: string;
  readonly ephemeralKeys: boolean;
  readonly writeCert?: string;
  readonly pcrKey?: string;
  readonly pcrPublicKey?: string;
  readonly attest?: string;
  readonly signWith?: string;
  readonly signAs?: string;
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

export const sealCommand = buildCommand<Flags, [string?], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      checkAttest(flags);
      if (flags.attach !== undefined) return await attach(this, flags, flags.attach, image);
      if (image === undefined) throw new UsageError("seal.image-missing", "no image to seal: expected IMAGE");
      if (flags.prepare !== undefined) return await prepare(this, flags, image, flags.prepare);
      return await seal(this, flags, image);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ ...imageArgument.parameters[0], optional: true }],
    },
    flags: {
      to: textFlag(
        "IMAGE",
        "Where the sealed image goes: HOST/NAME[:TAG] in a registry, oci:DIR[:TAG] or oci-archive:FILE",
      ),
      prepare: textFlag("DIR", "Sign nothing: write to DIR what is to be signed elsewhere, for the key of --cert"),
      attach: textFlag("DIR", "Complete a seal that was prepared, with the signatures in DIR"),
      ...signersFlags,
      ephemeralKeys: switchFlag("Sign with a key made for this run and thrown away (pull-request builds)"),
      writeCert: textFlag("FILE", "Write the signing certificate here, to verify with"),
      pcrKey: textFlag("KEY", "Sign predictions of PCR 11 into the UKI with this key, RSA"),
      pcrPublicKey: textFlag("FILE", "Public key of the same, PEM; enough for --prepare"),
      attest: textFlag("LIST", "What to say about the image: signature, sbom, provenance, composefs; or all"),
      signWith: textFlag("KEY", "Key that signs what is said, RSA or EC (default: the one that seals)"),
      signAs: textFlag("HOST/NAME", "Repository to sign the image for (default: where it goes)"),
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
      overwrite: switchFlag("Replace an archive or a request that exists"),
      platform: platformFlag,
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Seal an image: signed boot loader, signed UKI with the digest of the tree, one layer on top",
    customUsage: [
      "--to IMAGE --key KEY [--cert FILE] <IMAGE>",
      "--prepare DIR --cert FILE [--to IMAGE] <IMAGE>",
      "--attach DIR [--to IMAGE] [--cert FILE]",
    ],
    fullDescription: [
      "Moves the kernel and initramfs into a unified kernel image whose command line carries the composefs digest of the",
      "tree, signs it and systemd-boot, and adds them as one layer. The layers below keep their bytes. What was written is",
      "read again and the digest recomputed before the image gets its name.",
      "Of an index, every image that can be sealed is, and the others stay; --platform seals one alone.",
      "",
      "Where the key is not on this machine, --prepare writes a signing request, sealwright sign-request (or sbsign,",
      "osslsigncode, an HSM) signs it elsewhere, and --attach completes the seal: docs/signing-elsewhere.md.",
      "",
      "EXAMPLES",
      "  sealwright seal oci:./os --to oci:./sealed --key keys/db.key --cert keys/db.crt",
      "  sealwright seal oci:./os --to oci:./sealed --key 'pkcs11:token=prod;object=db'",
      "  sealwright seal oci:./os --to oci:./sealed --key new.key --cert new.crt --key old.key --cert old.crt",
      "  sealwright seal oci:./os --to oci-archive:sealed.tar --ephemeral-keys --write-cert pr.crt",
      "  sealwright seal quay.io/example/os:latest --to quay.io/example/os:sealed --key keys/db.key --cert keys/db.crt",
      '  sealwright seal oci:./os --to oci:./sealed --key keys/db.key --cert keys/db.crt --karg "console=ttyS0"',
      "  sealwright seal HOST/os:latest --to HOST/os:sealed --key db.key --cert db.crt --attest all --sign-with cosign.pem",
      "  sealwright seal oci:./os --prepare request --cert db.crt",
      "  sealwright seal --attach request --to oci:./sealed --cert db.crt",
    ].join("\n"),
  },
});

/** What is said about a seal is said by who makes it in one go, or afterwards. */
function checkAttest({ attach: completed, attest, prepare: prepared, signAs, signWith }: Flags): void {
  if (attest === undefined && (signAs ?? signWith) !== undefined) {
    throw new UsageError("seal.attest-missing", "--sign-with and --sign-as are for what --attest says", {
      hint: "add --attest signature, or --attest all",
    });
  }
  if (attest !== undefined && (completed ?? prepared) !== undefined) {
    throw new UsageError("seal.attest-elsewhere", "--attest is for a seal in one go, not for --prepare and --attach", {
      hint: "when it is complete: sealwright attach IMAGE --attest all --key KEY",
    });
  }
}

/** What both halves of a seal, and the seal in one, take from the flags. */
async function planOptions(context: Context, flags: Flags) {
  return {
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
    cacheDirectory: flags.noCache ? undefined : cacheDirectory(context.env),
    buildTime: sourceDateEpoch(context.env),
    registries: await registriesOf(context, flags),
    signal: context.signal,
    progress: context.progress,
  };
}

async function seal(context: Context, flags: Flags, image: string): Promise<Shown> {
  const [{ sealReference }, { showSeal }, { showSealIndex }] = await Promise.all([
    import("../../actions/seal-index/seal-index.ts"),
    import("../show/seal.ts"),
    import("../show/seal-index.ts"),
  ]);
  if (flags.to === undefined) {
    throw new UsageError("seal.target-missing", "no name for the sealed image: expected --to IMAGE");
  }
  const [first, ...keysBeside] = pairKeys(flags.key, flags.cert);
  const options = {
    ...signerRules(context, flags),
    ...(await planOptions(context, flags)),
    ...first,
    keysBeside,
    to: flags.to,
    pcrKey: flags.pcrKey,
    pcrPublicKeyPath: flags.pcrPublicKey,
    ephemeralKeys: flags.ephemeralKeys,
    writeCertificateTo: flags.writeCert,
  };
  await using attachments =
    flags.attest === undefined ? undefined : await openAttachments(flags.attest, flags, options);
  const beforeShown = attachments && ((sealed: SealedManifest) => attachments.attach(sealed));
  const report = await sealReference(image, { ...options, beforeShown });
  const shown = "sealed" in report ? showSealIndex(report) : showSeal(report);
  return attachments === undefined ? shown : withAttached(shown, attachments.done);
}

/** A request is for one key. */
function onlyCertificate({ cert = [] }: Flags): string | undefined {
  if (cert.length < 2) return cert[0];
  throw new UsageError("signer.pairs", `${cert.length} --cert: expected one, a request is signed by one key`);
}

async function openAttachments(attest: string, { signAs, signWith }: Flags, options: SealOptions) {
  const { openSealAttachments } = await import("../../actions/attach/seal-attachments.ts");
  return await openSealAttachments({ attest, signAs, signWith, toolVersion: version }, options);
}

async function prepare(context: Context, flags: Flags, image: string, directory: string): Promise<Shown> {
  const [{ prepareSeal }, { showPrepared }] = await Promise.all([
    import("../../actions/seal/prepare.ts"),
    import("../show/signing-request.ts"),
  ]);
  const { attest, ephemeralKeys, key, pcrKey, writeCert } = flags;
  if ((key ?? pcrKey ?? attest ?? writeCert) !== undefined || ephemeralKeys) {
    const expected = "expected --cert, without --key, --pcr-key, --ephemeral-keys, --write-cert and --attest";
    throw new UsageError("seal.prepare-key", `--prepare signs nothing: ${expected}`);
  }
  const plan = await planOptions(context, flags);
  const report = await prepareSeal(image, {
    ...signerRules(context, flags),
    certificatePath: onlyCertificate(flags),
    pcrPublicKeyPath: flags.pcrPublicKey,
    ...plan,
    directory,
    to: flags.to,
    created: plan.buildTime ?? new Date(),
    tool: `sealwright ${version}`,
  });
  return showPrepared(report);
}

async function attach(context: Context, flags: Flags, directory: string, image: string | undefined): Promise<Shown> {
  const [{ attachSeal }, { showSeal }] = await Promise.all([
    import("../../actions/seal/attach.ts"),
    import("../show/seal.ts"),
  ]);
  const { key, karg, addon, attest, digestFormats, ephemeralKeys, format, prepare: both, stub, platform } = flags;
  const { pcrKey, pcrPublicKey, writeCert } = flags;
  const said = {
    key,
    pcrKey,
    pcrPublicKey,
    writeCert,
    karg,
    addon,
    attest,
    digestFormats,
    format,
    prepare: both,
    stub,
    platform,
  };
  const stray = Object.entries(said)
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
  const switches = ["normalize", "normalizeAll", "keepKernel", "noDump", "allowMissingVerity"] as const;
  stray.push(...switches.filter((name) => flags[name]), ...(ephemeralKeys ? ["ephemeralKeys"] : []));
  if (stray.length > 0) {
    const names = stray.map((name) => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
    throw new UsageError("seal.attach-options", `${names.join(", ")}: with --attach, the request says all that`);
  }
  const report = await attachSeal(directory, {
    image,
    to: flags.to,
    certificatePath: onlyCertificate(flags),
    overwrite: flags.overwrite,
    cacheDirectory: flags.noCache ? undefined : cacheDirectory(context.env),
    registries: await registriesOf(context, flags),
    signal: context.signal,
    progress: context.progress,
  });
  return showSeal(report);
}
