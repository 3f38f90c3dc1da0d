import { buildCommand, buildRouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, listFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type SignerFlags, signerFlags, signerOptions } from "../signer-flags.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";
import { ukiAddonRoutes } from "./uki-addon.ts";

interface BuildFlags extends SignerFlags {
  readonly output: string;
  readonly linux?: string;
  readonly initrd?: readonly string[];
  readonly cmdline?: string;
  readonly osRelease?: string;
  readonly uname?: string;
  readonly stub?: string;
  readonly splash?: string;
  readonly devicetree?: string;
  readonly devicetreeAuto?: readonly string[];
  readonly microcode?: string;
  readonly hwids?: string;
  readonly sbat?: readonly string[];
  readonly section?: readonly string[];
  readonly profile?: string;
  readonly joinProfile?: readonly string[];
  readonly pcrPublicKey?: string;
  readonly pcrPrivateKey?: readonly string[];
  readonly overwrite: boolean;
  readonly json: boolean;
}

const buildUkiCommand = buildCommand<BuildFlags, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const [{ buildUkiFile }, { openPeSigner }, { showSize }] = await Promise.all([
        import("../../actions/uki/build-uki-file.ts"),
        import("../../actions/uki/pe-signer.ts"),
        import("../../lib/bytes/numbers.ts"),
      ]);
      const signing = signerOptions(this, flags);
      const buildTime = sourceDateEpoch(this.env);
      await using signer = await openPeSigner({ ...signing, key: flags.key, buildTime });
      const given = {
        linux: flags.linux,
        initrds: flags.initrd,
        cmdline: flags.cmdline,
        osRelease: flags.osRelease,
        uname: flags.uname,
        stub: flags.stub,
        splash: flags.splash,
        dtb: flags.devicetree,
        dtbautos: flags.devicetreeAuto,
        microcode: flags.microcode,
        hwids: flags.hwids,
        sbat: flags.sbat,
        sections: flags.section,
        profile: flags.profile,
        profiles: flags.joinProfile,
        pcrPublicKey: flags.pcrPublicKey,
        pcrKeys: flags.pcrPrivateKey?.map((key) => ({ ...signing, key })),
        sign: signer?.sign,
      };
      const report = await buildUkiFile({
        ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as object),
        output: flags.output,
        overwrite: flags.overwrite,
        onProgress: this.progress,
        signal: this.signal,
      });
      const kernel = report.uname === undefined ? "" : `, kernel ${report.uname}`;
      const signed = signer === undefined ? "unsigned" : `signed by ${signer.subject}`;
      return {
        text: `${report.output}: ${showSize(report.size)}${kernel}, ${signed}`,
        json: { ...report, signer: signer?.subject },
      };
    });
  },
  parameters: {
    flags: {
      output: requiredTextFlag("FILE", "Where the UKI goes"),
      linux: textFlag("FILE", "Kernel (.linux); without one the result is an addon or a profile"),
      initrd: listFlag("FILE", "Initial RAM disk (.initrd); repeatable"),
      cmdline: textFlag("TEXT|@FILE", "Kernel command line (.cmdline)"),
      osRelease: textFlag("TEXT|@FILE", "os-release of the system inside (.osrel)"),
      uname: textFlag("VERSION", "Kernel version (.uname; default: found in the kernel)"),
      stub: textFlag("FILE", "systemd-stub (default: the one installed here)"),
      splash: textFlag("FILE", "Boot picture, BMP (.splash)"),
      devicetree: textFlag("FILE", "Devicetree (.dtb)"),
      devicetreeAuto: listFlag("FILE", "Devicetree chosen by machine (.dtbauto); repeatable"),
      microcode: textFlag("FILE", "CPU microcode, an uncompressed cpio (.ucode)"),
      hwids: textFlag("DIR", "Hardware descriptions (.hwids)"),
      sbat: listFlag("TEXT|@FILE", "SBAT metadata in place of the default line (.sbat); repeatable"),
      section: listFlag("NAME:TEXT|NAME:@FILE", "Any other section; repeatable"),
      profile: textFlag("TEXT|@FILE", "Profile of this PE (.profile)"),
      joinProfile: listFlag("FILE", "Profile PE to join; repeatable"),
      pcrPublicKey: textFlag("FILE", "Public key of PCR policies, PEM (.pcrpkey)"),
      pcrPrivateKey: listFlag("KEY", "Sign predicted PCR 11 values with this key (.pcrsig); repeatable"),
      ...signerFlags,
      overwrite: switchFlag("Replace the output if it exists"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Build a unified kernel image, an addon or a profile",
    fullDescription: [
      "The bytes are those of ukify (systemd 262) for the same inputs.",
      "",
      "EXAMPLES",
      "  sealwright uki build --linux vmlinuz --initrd initramfs.img --cmdline 'root=LABEL=root rw' \\",
      "    --os-release @/usr/lib/os-release --output linux.efi --key keys/db.key --cert keys/db.crt",
      "  sealwright uki build --stub addonx64.efi.stub --cmdline debug --output debug.addon.efi",
    ].join("\n"),
  },
});

const inspectUkiCommand = buildCommand<{ readonly json: boolean }, [string], Context>({
  async func(flags, file) {
    await perform(this, flags.json, async () => {
      const [{ inspectUkiFile }, { showUki }] = await Promise.all([
        import("../../actions/uki/inspect-uki-file.ts"),
        import("../show/uki.ts"),
      ]);
      return showUki(await inspectUkiFile(file));
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "UKI, addon or profile", parse: String, placeholder: "FILE" }],
    },
    flags: { json: jsonFlag },
  },
  docs: { brief: "Show the sections, command line and signatures of a UKI" },
});

export const ukiRoutes = buildRouteMap<"build" | "inspect" | "addon", Context>({
  routes: { build: buildUkiCommand, inspect: inspectUkiCommand, addon: ukiAddonRoutes },
  docs: { brief: "Unified kernel images" },
});
