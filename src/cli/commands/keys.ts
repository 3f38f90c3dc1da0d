import { randomBytes } from "node:crypto";
import { buildCommand, buildRouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { enrollCommand } from "./enroll.ts";
import { certifyCommand } from "./keys-certify.ts";
import { preflightCommand } from "./keys-preflight.ts";
import { revokeCommand } from "./keys-revoke.ts";
import { rotateCommand } from "./keys-rotate.ts";

const directoryArgument = {
  kind: "tuple",
  parameters: [{ brief: "Directory of the keys", parse: String, placeholder: "DIR" }],
} as const;

interface GenerateFlags {
  readonly bits: "2048" | "3072" | "4096";
  readonly name?: string;
  readonly organization?: string;
  readonly years?: number;
  readonly guid?: string;
  readonly json: boolean;
}

const generateCommand = buildCommand<GenerateFlags, [string], Context>({
  async func(flags, directory) {
    await perform(this, flags.json, async () => {
      const [{ generateKeys }, { showKeyDirectory }, { parseGuid }] = await Promise.all([
        import("../../actions/keys/generate-keys.ts"),
        import("../show/keys.ts"),
        import("../../lib/bytes/guid.ts"),
      ]);
      this.progress({ step: "keys.generate", text: `generating PK, KEK and db (RSA-${flags.bits})` });
      const keys = await generateKeys({
        directory,
        bits: Number(flags.bits) as 2048 | 3072 | 4096,
        ...(flags.name === undefined ? {} : { commonName: flags.name }),
        ...(flags.organization === undefined ? {} : { organization: flags.organization }),
        ...(flags.years === undefined ? {} : { years: flags.years }),
        ...(flags.guid === undefined ? {} : { owner: parseGuid(flags.guid) }),
        now: new Date(),
        randomBytes,
        signal: this.signal,
      });
      return showKeyDirectory(keys);
    });
  },
  parameters: {
    positional: directoryArgument,
    flags: {
      bits: {
        kind: "enum",
        values: ["2048", "3072", "4096"],
        default: "2048",
        brief: "RSA key size; every firmware takes 2048",
      },
      name: textFlag("NAME", "Common name in the certificates, before PK, KEK and db"),
      organization: textFlag("NAME", "Organization in the certificates"),
      years: {
        kind: "parsed",
        parse: Number,
        optional: true,
        brief: "Validity of the certificates (default: 20)",
        placeholder: "N",
      },
      guid: textFlag("GUID", "Signature owner (default: a random one)"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Generate PK, KEK and db: keys, certificates, EFI signature lists, authenticated variables",
    fullDescription: [
      "Private keys are readable by their owner only. Nothing that exists is replaced.",
      "",
      "EXAMPLES",
      "  sealwright keys generate keys",
      '  sealwright keys generate keys --bits 4096 --organization "Example Inc."',
    ].join("\n"),
  },
});

const showCommand = buildCommand<{ readonly json: boolean }, [string], Context>({
  async func(flags, directory) {
    await perform(this, flags.json, async () => {
      const [{ showKeys }, { showKeyDirectory }] = await Promise.all([
        import("../../actions/keys/show-keys.ts"),
        import("../show/keys.ts"),
      ]);
      return showKeyDirectory(await showKeys(directory));
    });
  },
  parameters: { positional: directoryArgument, flags: { json: jsonFlag } },
  docs: { brief: "Show the certificates of a key directory and check that its files belong together" },
});

export const keysRoutes = buildRouteMap<
  "generate" | "certify" | "show" | "enroll" | "rotate" | "revoke" | "preflight",
  Context
>({
  routes: {
    generate: generateCommand,
    certify: certifyCommand,
    show: showCommand,
    enroll: enrollCommand,
    rotate: rotateCommand,
    revoke: revokeCommand,
    preflight: preflightCommand,
  },
  docs: { brief: "Secure Boot keys" },
});
