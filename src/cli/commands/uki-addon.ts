import { buildCommand, buildRouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { jsonFlag, listFlag, platformFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";
import { type SignerFlags, signerFlags, signerOptions } from "../signer-flags.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";

interface BuildFlags extends SignerFlags {
  readonly output: string;
  readonly cmdline?: string;
  readonly devicetree?: string;
  readonly devicetreeAuto?: readonly string[];
  readonly initrd?: readonly string[];
  readonly microcode?: string;
  readonly uname?: string;
  readonly sbat?: readonly string[];
  readonly stub?: string;
  readonly arch: "x64" | "aa64";
  readonly allowBreakingSeal: boolean;
  readonly overwrite: boolean;
  readonly json: boolean;
}

const buildAddonCommand = buildCommand<BuildFlags, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const [{ buildAddon }, { openPeSigner }, { showBuiltAddon }] = await Promise.all([
        import("../../actions/uki/build-addon.ts"),
        import("../../actions/uki/pe-signer.ts"),
        import("../show/uki-addon.ts"),
      ]);
      const options = { ...signerOptions(this, flags), key: flags.key, buildTime: sourceDateEpoch(this.env) };
      await using signer = await openPeSigner(options);
      const report = await buildAddon({
        output: flags.output,
        overwrite: flags.overwrite,
        stub: flags.stub,
        architecture: flags.arch,
        cmdline: flags.cmdline,
        dtb: flags.devicetree,
        dtbautos: flags.devicetreeAuto ?? [],
        initrds: flags.initrd ?? [],
        microcode: flags.microcode,
        uname: flags.uname,
        sbat: flags.sbat ?? [],
        allowBreakingSeal: flags.allowBreakingSeal,
        sign: signer?.sign,
        signal: this.signal,
      });
      return showBuiltAddon(report, signer?.subject);
    });
  },
  parameters: {
    flags: {
      output: requiredTextFlag("FILE", "Where the addon goes: NAME.addon.efi"),
      cmdline: textFlag("TEXT|@FILE", "Kernel arguments, behind those of the UKI (.cmdline)"),
      devicetree: textFlag("FILE", "Devicetree (.dtb)"),
      devicetreeAuto: listFlag("FILE", "Devicetree chosen by machine (.dtbauto); repeatable"),
      initrd: listFlag("FILE", "Initial RAM disk, behind that of the UKI (.initrd); repeatable"),
      microcode: textFlag("FILE", "CPU microcode, an uncompressed cpio (.ucode)"),
      uname: textFlag("VERSION", "Only for this kernel; a UKI with another .uname passes it over"),
      sbat: listFlag("TEXT|@FILE", "SBAT metadata in place of the default line (.sbat); repeatable"),
      stub: textFlag("FILE", "Addon stub (default: systemd's, installed here)"),
      arch: {
        kind: "enum",
        values: ["x64", "aa64"],
        default: process.arch === "arm64" ? "aa64" : "x64",
        brief: "Machine whose installed stub is taken",
      },
      ...signerFlags,
      allowBreakingSeal: switchFlag("Build it although a host boots something else with it than its seal says"),
      overwrite: switchFlag("Replace the output if it exists"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Build an addon: kernel arguments, a devicetree, an initrd or microcode for sealed UKIs",
    fullDescription: [
      "With Secure Boot the stub takes addons that firmware accepts, so sign it with a key of db. What changes what a",
      "sealed host boots is refused: another composefs=, init=, root=, a shell, another unit. Its bytes are ukify's.",
      "",
      "EXAMPLES",
      "  sealwright uki addon build --cmdline 'console=ttyS0' --output serial.addon.efi --key keys/db.key --cert keys/db.crt",
      "  sealwright uki addon build --devicetree board.dtb --output board.addon.efi --arch aa64 \\",
      "    --key keys/db.key --cert keys/db.crt",
      "  sealwright seal oci:./os --to oci:./sealed --key keys/db.key --cert keys/db.crt --addon serial.addon.efi",
    ].join("\n"),
  },
});

interface ListFlags extends RegistryFlags {
  readonly platform?: string;
  readonly json: boolean;
}

const listAddonsCommand = buildCommand<ListFlags, [string], Context>({
  async func(flags, source) {
    await perform(this, flags.json, async () => {
      const [{ listAddons }, { showAddons }] = await Promise.all([
        import("../../actions/uki/list-addons.ts"),
        import("../show/uki-addon.ts"),
      ]);
      const list = await listAddons(source, {
        platform: flags.platform,
        registries: await registriesOf(this, flags),
        cacheDirectory: cacheDirectory(this.env),
        signal: this.signal,
        progress: this.progress,
      });
      return showAddons(list);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "Image, disk or addon", parse: String, placeholder: "IMAGE|DISK|FILE" }],
    },
    flags: { platform: platformFlag, ...registryFlags, json: jsonFlag },
  },
  docs: {
    brief: "List the addons of an image or a disk: for which UKI, signers, contents, what they do to the seal",
    fullDescription: [
      "EXAMPLES",
      "  sealwright uki addon list oci:./sealed",
      "  sealwright uki addon list disk.qcow2",
    ].join("\n"),
  },
});

const inspectAddonCommand = buildCommand<{ readonly json: boolean }, [string], Context>({
  async func(flags, file) {
    await perform(this, flags.json, async () => {
      const [{ inspectAddon }, { showAddon }] = await Promise.all([
        import("../../actions/uki/list-addons.ts"),
        import("../show/uki-addon.ts"),
      ]);
      return showAddon(await inspectAddon(file));
    });
  },
  parameters: {
    positional: { kind: "tuple", parameters: [{ brief: "Addon", parse: String, placeholder: "FILE" }] },
    flags: { json: jsonFlag },
  },
  docs: {
    brief: "Show what is in an addon, who signed it and what it does to a seal",
    fullDescription: ["EXAMPLES", "  sealwright uki addon inspect serial.addon.efi"].join("\n"),
  },
});

export const ukiAddonRoutes = buildRouteMap<"build" | "list" | "inspect", Context>({
  routes: { build: buildAddonCommand, list: listAddonsCommand, inspect: inspectAddonCommand },
  docs: { brief: "Addons of unified kernel images" },
});
