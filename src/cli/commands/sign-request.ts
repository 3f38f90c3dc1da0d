import { buildCommand } from "@stricli/core";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { jsonFlag, noCacheFlag, switchFlag, textFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";
import { KEY_BRIEF, type SignerFlags, signerFlags, signerOptions } from "../signer-flags.ts";

interface Flags extends RegistryFlags, SignerFlags {
  readonly policy?: string;
  readonly pcrKey?: string;
  readonly image?: string;
  readonly id?: string;
  readonly dryRun: boolean;
  readonly approve?: string;
  readonly reject?: string;
  readonly as?: string;
  readonly reason?: string;
  readonly limit: number;
  readonly noCache: boolean;
  readonly json: boolean;
}

/** What it throws is told as a mistake on the command line. */
function parseLimit(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new SyntaxError(`"${text}" is no number of lines`);
  return Number(text);
}

export const signRequestCommand = buildCommand<Flags, [string], Context>({
  async func(flags, directory) {
    await perform(this, flags.json, () =>
      flags.approve === undefined && flags.reject === undefined
        ? sign(this, flags, directory)
        : decide(this, flags, directory),
    );
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "Directory of the request", parse: String, placeholder: "DIR" }],
    },
    flags: {
      policy: textFlag("FILE", "What may be signed; the image is read and the request made again from it"),
      ...signerFlags,
      cert: textFlag("FILE", "Certificate of that key (default: the one that the request names)"),
      pcrKey: textFlag("KEY", "Private key of the PCR policies, where the request asks for some"),
      image: textFlag("IMAGE", "Where the image is, if not where the request says; it must be the same"),
      id: textFlag("SHA256", "Sign this request and no other: the identifier of the one that was looked at"),
      dryRun: switchFlag("Look, and sign nothing"),
      approve: textFlag("KEY", `Approve the request with this key: ${KEY_BRIEF}`),
      reject: textFlag("KEY", "Reject it with this key"),
      as: textFlag("NAME", "Name of the approver in the policy"),
      reason: textFlag("TEXT", "Why; it is signed as well"),
      limit: {
        kind: "parsed",
        parse: parseLimit,
        default: "40",
        brief: "Most lines of a part of the comparison; 0 for all",
        placeholder: "N",
      },
      ...registryFlags,
      noCache: noCacheFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Sign what seal --prepare asks for, after making it again from the image",
    fullDescription: [
      "With --policy nothing is believed: the image is fetched, the UKI built again from it and compared bit for bit, the",
      "changes since the last image of that name are shown, the rules of the policy enforced, and what is signed goes to",
      "the audit log before a signature leaves. Without, what lies in DIR is signed, for use where it comes from oneself.",
      "The exit status is 81 when a rule of the policy refuses. docs/signing-elsewhere.md has the policy, with an example.",
      "",
      "EXAMPLES",
      "  sealwright sign-request request --key keys/db.key",
      "  sealwright sign-request request --policy policy.toml --dry-run",
      "  sealwright sign-request request --approve alice.key --as alice",
      "  sealwright sign-request request --policy policy.toml --key 'pkcs11:token=prod;object=db'",
    ].join("\n"),
  },
});

async function sign(context: Context, flags: Flags, directory: string): Promise<Shown> {
  const [{ signRequest }, { showSigned }] = await Promise.all([
    import("../../actions/sign-request/sign-request.ts"),
    import("../show/signing-request.ts"),
  ]);
  const report = await signRequest(directory, {
    ...signerOptions(context, flags),
    key: flags.key,
    pcrKey: flags.pcrKey,
    policyPath: flags.policy,
    image: flags.image,
    expectedId: flags.id,
    dryRun: flags.dryRun,
    cacheDirectory: flags.noCache ? undefined : cacheDirectory(context.env),
    registries: await registriesOf(context, flags),
    signal: context.signal,
    progress: context.progress,
  });
  return showSigned(report, flags.limit);
}

async function decide(context: Context, flags: Flags, directory: string): Promise<Shown> {
  const [{ approveRequest }, { showDecision }] = await Promise.all([
    import("../../actions/sign-request/approve.ts"),
    import("../show/signing-request.ts"),
  ]);
  const { approve, as, reason, reject } = flags;
  const key = approve ?? reject;
  if (key === undefined || (approve !== undefined && reject !== undefined)) {
    throw new UsageError("approval.ambiguous", "both --approve and --reject: expected one of them");
  }
  if (as === undefined) throw new UsageError("approval.approver", "who decides? expected --as NAME");
  const report = await approveRequest(directory, {
    ...signerOptions(context, flags),
    key,
    approver: as,
    decision: approve === undefined ? "reject" : "approve",
    reason,
  });
  return showDecision(report);
}
