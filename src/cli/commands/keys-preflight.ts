import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";

interface Flags {
  readonly keys?: string;
  readonly microsoft: boolean;
  readonly root: string;
  readonly json: boolean;
}

export const preflightCommand = buildCommand<Flags, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const [{ preflight }, { showPreflight }] = await Promise.all([
        import("../../actions/enroll/preflight.ts"),
        import("../show/preflight.ts"),
      ]);
      const { keys, microsoft, root } = flags;
      return showPreflight(await preflight({ root, keys, microsoft, now: new Date() }));
    });
  },
  parameters: {
    flags: {
      keys: textFlag("DIR", "Directory of the keys that are to be enrolled, or are"),
      microsoft: switchFlag("Judge an enrolment with Microsoft's certificates"),
      root: { kind: "parsed", parse: String, default: "/", brief: "Where proc and sys are", placeholder: "DIR" },
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Show what this machine's firmware has, and whether it would start after enrolling your keys",
    fullDescription: [
      "Looks at Secure Boot and setup mode, the certificates in PK, KEK, db and dbx, option ROMs in the event log of the",
      "TPM, and whether the boot loader and UKI of this boot would start with your keys alone. Nothing is changed. Run as",
      "root: the event log and the ESP are not for everybody. The exit status is 81 when something stands in the way.",
      "",
      "EXAMPLES",
      "  sealwright keys preflight --keys keys",
      "  sealwright keys preflight --keys keys --microsoft --json",
    ].join("\n"),
  },
});
