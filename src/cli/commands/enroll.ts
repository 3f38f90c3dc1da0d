import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";

interface Flags {
  readonly ovmfVars: string;
  readonly keys: string;
  readonly output?: string;
  readonly secureBoot: boolean;
  readonly microsoft: boolean;
  readonly json: boolean;
}

export const enrollCommand = buildCommand<Flags, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const { enrolStore } = await import("../../actions/enroll/enroll-store.ts");
      const enrolled = await enrolStore({
        store: flags.ovmfVars,
        keys: flags.keys,
        output: flags.output,
        secureBoot: flags.secureBoot,
        microsoft: flags.microsoft,
        signal: this.signal,
      });
      const lines = [
        `${enrolled.path}: PK, KEK and db enrolled, Secure Boot ${enrolled.secureBoot ? "on" : "off"}`,
        ...enrolled.db.map((subject) => `  db   ${subject}`),
      ];
      return { text: lines.join("\n"), json: enrolled };
    });
  },
  parameters: {
    flags: {
      ovmfVars: requiredTextFlag("FILE", "Variable store of a virtual machine: OVMF_VARS or AAVMF_VARS, raw or qcow2"),
      keys: requiredTextFlag("DIR", "Directory of the keys; private keys are not needed"),
      output: textFlag("FILE", "Write a new store instead of replacing this one"),
      secureBoot: { kind: "boolean", brief: "Switch Secure Boot on", default: true },
      microsoft: switchFlag("Allow what Microsoft signs for other vendors, besides your own key"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Enrol PK, KEK and db into the variable store of a virtual machine",
    fullDescription: [
      "Replaces PK, KEK and db, whatever was there, and switches Secure Boot on; a dbx stays as it is. The machine must",
      "not run meanwhile. No boot is needed: the firmware finds the keys at its next start.",
      "",
      "--microsoft is for machines with passed-through devices whose option ROMs Microsoft signed: without its",
      "certificates such a graphics or network card gives no display or no boot. It also allows every boot loader that",
      "Microsoft ever signed for anyone, so that the firmware alone no longer proves that your system runs: only what",
      "is measured (PCR 4, 7 and 11) does. The certificates are read from the firmware package of your distribution;",
      "those for Windows are left out, and KEK stays yours.",
      "",
      "EXAMPLES",
      "  cp /usr/share/OVMF/OVMF_VARS_4M.fd vars.fd",
      "  sealwright keys enroll --ovmf-vars vars.fd --keys keys",
      "  sealwright keys enroll --ovmf-vars vars.fd --keys keys --output off.fd --no-secure-boot",
    ].join("\n"),
  },
});
