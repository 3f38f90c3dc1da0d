import { buildCommand } from "@stricli/core";
import type { EnrolmentPlace } from "../../actions/enroll/enroll-directory.ts";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { jsonFlag, listFlag, switchFlag, textFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";
import { type SignerRuleFlags, signerOptions, signerRuleFlags } from "../signer-flags.ts";

interface Flags extends SignerRuleFlags {
  readonly keys?: string;
  readonly ovmfVars?: string;
  readonly efivarfs: boolean;
  readonly esp?: string;
  readonly imageRoot?: string;
  readonly directory?: string;
  readonly aws?: string;
  readonly azure?: string;
  readonly gcp?: string;
  readonly update?: readonly string[];
  readonly root: string;
  readonly set: string;
  readonly output?: string;
  readonly secureBoot: boolean;
  readonly microsoft: boolean;
  readonly allowOptionRoms: boolean;
  readonly overwrite: boolean;
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Where keys can go; exactly one of them. */
const TARGETS = ["ovmfVars", "efivarfs", "esp", "imageRoot", "directory", "aws", "azure", "gcp"] as const;
type Target = (typeof TARGETS)[number];

const PLACES: Readonly<Partial<Record<Target, EnrolmentPlace>>> = {
  esp: "esp",
  imageRoot: "image-root",
  directory: "plain",
};

export const enrollCommand = buildCommand<Flags, [], Context>({
  async func(flags) {
    await perform(this, flags.json, () => enrol(this, flags, requireTarget(flags)));
  },
  parameters: {
    flags: {
      keys: textFlag("DIR", "Directory of the keys; private keys are not needed, where DIR has the .auth files"),
      ovmfVars: textFlag("FILE", "To the variable store of a virtual machine: OVMF_VARS or AAVMF_VARS, raw or qcow2"),
      efivarfs: switchFlag("To the firmware of this machine, which has to be in setup mode"),
      esp: textFlag("DIR", "To a mounted ESP, for systemd-boot: loader/keys/SET"),
      imageRoot: textFlag("DIR", "To the root of an image, for bootc: usr/lib/bootc/install/secureboot-keys/SET"),
      directory: textFlag("DIR", "To this directory: PK.auth, KEK.auth, db.auth and dbx.auth"),
      aws: textFlag("FILE", "For EC2: the --uefi-data of register-image"),
      azure: textFlag("FILE", "For Azure: the uefiSettings of an image version"),
      gcp: textFlag("DIR", "For Google Cloud: the files of gcloud compute images create"),
      update: listFlag("FILE", "With --efivarfs: signed updates of keys that are enrolled, in order; repeatable"),
      root: { kind: "parsed", parse: String, default: "/", brief: "With --efivarfs: where sys is", placeholder: "DIR" },
      set: {
        kind: "parsed",
        parse: String,
        default: "auto",
        brief: "Name of the set of keys on an ESP",
        placeholder: "SET",
      },
      output: textFlag("FILE", "With --ovmf-vars: write a new store instead of replacing this one"),
      secureBoot: { kind: "boolean", brief: "With --ovmf-vars: switch Secure Boot on", default: true },
      microsoft: switchFlag("Allow what Microsoft signs for other vendors, besides your own key"),
      allowOptionRoms: switchFlag("With --efivarfs: allow the option ROMs of this machine, by their digests"),
      ...signerRuleFlags,
      overwrite: switchFlag("Replace files that exist"),
      force: switchFlag("With --efivarfs: although an option ROM may not start any more"),
      dryRun: switchFlag("Show what would be written, and write nothing"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Enrol PK, KEK and db: into a virtual machine, this machine, an ESP, or for a cloud",
    fullDescription: [
      "A virtual machine's store gets the keys in place of those it had; its dbx stays, with what you revoked behind it.",
      "No boot is needed, and the machine must not run meanwhile. This machine's firmware is written in the order db, dbx,",
      "KEK, PK, and only in setup mode; keys that are enrolled are changed with --update.",
      "",
      "--microsoft is for machines whose graphics, network or storage cards have option ROMs that Microsoft signed: without",
      "its certificates such a card gives no display or no boot. It also allows every boot loader that Microsoft ever signed",
      "for anyone, so that the firmware alone no longer proves that your system runs: only what is measured (PCR 4, 7 and 11)",
      "does. The certificates are read from the firmware package of your distribution; those for Windows are left out, and",
      "KEK stays yours. --efivarfs looks into the event log of the TPM and refuses where an option ROM would not start.",
      "",
      "EXAMPLES",
      "  cp /usr/share/OVMF/OVMF_VARS_4M.fd vars.fd",
      "  sealwright keys enroll --ovmf-vars vars.fd --keys keys",
      "  sealwright keys enroll --efivarfs --keys keys --dry-run",
      "  sealwright keys enroll --efivarfs --update keys/dbx-append.auth",
      "  sealwright keys enroll --esp /efi --keys keys",
      "  sealwright keys enroll --aws uefi-data.txt --keys keys",
    ].join("\n"),
  },
});

/** @throws {UsageError} `enrol.target`, `enrol.keys-missing` */
function requireTarget(flags: Flags): Target {
  const given = TARGETS.filter((name) => flags[name] !== undefined && flags[name] !== false);
  const [target, second] = given;
  if (target === undefined || second !== undefined) {
    const expected = "--ovmf-vars, --efivarfs, --esp, --image-root, --directory, --aws, --azure or --gcp";
    const found = target === undefined ? "nowhere to enrol to" : "more than one place to enrol to";
    throw new UsageError("enrol.target", `${found}: expected one of ${expected}`);
  }
  if (flags.update !== undefined && (target !== "efivarfs" || flags.keys !== undefined)) {
    throw new UsageError("enrol.update-target", "--update goes with --efivarfs, and without --keys");
  }
  if (flags.keys === undefined && flags.update === undefined) {
    throw new UsageError("enrol.keys-missing", "no keys to enrol: expected --keys DIR", {
      hint: "make some with: sealwright keys generate DIR",
    });
  }
  return target;
}

async function enrol(context: Context, flags: Flags, target: Target): Promise<Shown> {
  const { dryRun, keys = "", microsoft, overwrite } = flags;
  const show = await import("../show/enroll.ts");
  const { certificatePath: _, ...signing } = signerOptions(context, { ...flags });
  switch (target) {
    case "ovmfVars": {
      const { enrolStore } = await import("../../actions/enroll/enroll-store.ts");
      const { output, ovmfVars: store = "", secureBoot } = flags;
      const { signal } = context;
      return show.showStore(await enrolStore({ store, keys, output, secureBoot, microsoft, dryRun, signal }), dryRun);
    }
    case "efivarfs": {
      const { enrolMachine, updateMachine } = await import("../../actions/enroll/enroll-machine.ts");
      const { allowOptionRoms, force, root, update } = flags;
      const common = { root, dryRun, progress: context.progress };
      return show.showMachine(
        update === undefined
          ? await enrolMachine({ ...common, keys, microsoft, allowOptionRoms, force, signing })
          : await updateMachine({ ...common, files: update }),
      );
    }
    case "esp":
    case "imageRoot":
    case "directory": {
      const { enrolDirectory } = await import("../../actions/enroll/enroll-directory.ts");
      const [place, directory] = [PLACES[target] ?? "plain", flags[target] ?? ""];
      const { set } = flags;
      return show.showDirectory(
        await enrolDirectory({ keys, directory, place, set, microsoft, overwrite, dryRun, signing }),
        place,
      );
    }
    case "aws":
    case "azure":
    case "gcp": {
      const { enrolCloud } = await import("../../actions/enroll/enroll-cloud.ts");
      const output = flags[target] ?? "";
      return show.showCloud(await enrolCloud({ cloud: target, keys, output, microsoft, overwrite, dryRun }));
    }
    default:
      return target satisfies never;
  }
}
