import { randomBytes } from "node:crypto";
import { buildCommand } from "@stricli/core";
import type { KeyName } from "../../actions/keys/key-directory.ts";
import type { Context } from "../context.ts";
import { jsonFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { KEY_BRIEF, type SignerRuleFlags, signerOptions, signerRuleFlags } from "../signer-flags.ts";

export interface AuthorityFlags extends SignerRuleFlags {
  readonly keys: string;
  readonly pkKey?: string;
  readonly kekKey?: string;
}

/** Of commands that sign updates of key databases. */
export const authorityFlags = {
  keys: requiredTextFlag("DIR", "Directory of the keys"),
  pkKey: textFlag("KEY", `Private key of PK, when it is not in the directory: ${KEY_BRIEF}`),
  kekKey: textFlag("KEY", "Private key of KEK, likewise"),
  ...signerRuleFlags,
} as const;

export function authorityOptions(context: Context, flags: AuthorityFlags) {
  const { certificatePath: _, ...signing } = signerOptions(context, flags);
  return { authorities: { PK: flags.pkKey, KEK: flags.kekKey }, signing };
}

interface Flags extends AuthorityFlags {
  readonly overlap: number;
  readonly bits: "2048" | "3072" | "4096";
  readonly name?: string;
  readonly organization?: string;
  readonly years?: number;
  readonly newKey?: string;
  readonly newCert?: string;
  readonly show: boolean;
  readonly retire: boolean;
  readonly early: boolean;
  readonly json: boolean;
}

export const rotateCommand = buildCommand<Flags, [KeyName], Context>({
  async func(flags, name) {
    await perform(this, flags.json, async () => {
      const [{ rotateKeys }, { retireKey, showRotation }, { showRotationPlan }] = await Promise.all([
        import("../../actions/keys/rotate-keys.ts"),
        import("../../actions/keys/retire-key.ts"),
        import("../show/rotation.ts"),
      ]);
      const authority = authorityOptions(this, flags);
      if (flags.show) return showRotationPlan(await showRotation(flags.keys, name));
      if (flags.retire) {
        return showRotationPlan(await retireKey(flags.keys, { name, early: flags.early, ...authority }));
      }
      const plan = await rotateKeys(flags.keys, {
        name,
        bits: Number(flags.bits) as 2048 | 3072 | 4096,
        commonName: flags.name,
        organization: flags.organization,
        years: flags.years,
        overlapDays: flags.overlap,
        newKey: flags.newKey,
        newCertificate: flags.newCert,
        randomBytes,
        ...authority,
      });
      return showRotationPlan(plan);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "db, KEK or PK", parse: parseKeyName, placeholder: "db|KEK|PK" }],
    },
    flags: {
      ...authorityFlags,
      overlap: {
        kind: "parsed",
        parse: Number,
        default: "90",
        brief: "Days that both keys are in use",
        placeholder: "N",
      },
      bits: { kind: "enum", values: ["2048", "3072", "4096"], default: "2048", brief: "Size of the new RSA key" },
      name: textFlag("NAME", "Common name of the new certificate (default: the old one's, with a number)"),
      organization: textFlag("NAME", "Organization in it (default: the old one's)"),
      years: { kind: "parsed", parse: Number, optional: true, brief: "Validity (default: 20)", placeholder: "N" },
      newKey: textFlag("KEY", "The new key, made elsewhere, with --new-cert"),
      newCert: textFlag("FILE", "Its certificate; for db the certificate is enough"),
      show: switchFlag("Show the plan of the rotation that is underway, and change nothing"),
      retire: switchFlag("End the rotation: the old key goes out of use"),
      early: switchFlag("End it before its date"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Put a new key beside the old one, with both in use for a while",
    fullDescription: [
      "Makes the new key and certificate, and signed updates for machines that know the old one, and prints what there is",
      "to do, when, and with which file. Until --retire both keys are in use: the old one is called NAME-old. Every file",
      "that is replaced stays in DIR/history, and an interrupted rotation is finished by the next command.",
      "",
      "EXAMPLES",
      "  sealwright keys rotate db --keys keys",
      "  sealwright keys rotate db --keys keys --kek-key 'pkcs11:token=root;object=KEK' --overlap 180",
      "  sealwright keys rotate db --keys keys --show --json",
      "  sealwright keys rotate db --keys keys --retire",
    ].join("\n"),
  },
});

function parseKeyName(input: string): KeyName {
  const name = (["PK", "KEK", "db"] as const).find((each) => each.toLowerCase() === input.toLowerCase());
  if (name === undefined) throw new SyntaxError(`Expected db, KEK or PK, found ${JSON.stringify(input)}`);
  return name;
}
