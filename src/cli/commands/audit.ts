import { buildCommand, buildRouteMap } from "@stricli/core";
import type { AuditReport } from "../../actions/audit/verify-audit.ts";
import type { Context } from "../context.ts";
import { jsonFlag, textFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";

interface Flags {
  readonly cert?: string;
  readonly head?: string;
  readonly json: boolean;
}

interface ShowFlags extends Flags {
  readonly limit: number;
}

const logArgument = {
  kind: "tuple",
  parameters: [{ brief: "The audit log, with LOG.head beside", parse: String, placeholder: "LOG" }],
} as const;

const flags = {
  cert: textFlag("FILE", "Certificate of the log's key, PEM or DER"),
  head: textFlag("SEQUENCE:SHA256", "A position that you remember: it must be in the log"),
  json: jsonFlag,
} as const;

async function run(context: Context, given: Flags, log: string, show: (report: AuditReport) => Promise<Shown>) {
  await perform(context, given.json, async () => {
    const { verifyAudit } = await import("../../actions/audit/verify-audit.ts");
    return await show(await verifyAudit(log, { certificatePath: given.cert, head: given.head }));
  });
}

/** What it throws is told as a mistake on the command line. */
function parseLimit(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new SyntaxError(`"${text}" is no number of entries`);
  return Number(text);
}

const verifyCommand = buildCommand<Flags, [string], Context>({
  async func(given, log) {
    await run(this, given, log, async (report) => (await import("../show/audit.ts")).showAuditVerdict(report));
  },
  parameters: { positional: logArgument, flags },
  docs: {
    brief: "Verify that no entry of an audit log was changed, left out, moved or cut off",
    fullDescription: [
      "Every entry is signed and names the one before. The signed LOG.head tells where the log ends; a log and a head that",
      "were put back together to an earlier state are found out by whoever gives a later position with --head.",
      "",
      "EXAMPLES",
      "  sealwright audit verify audit.jsonl --cert audit.crt",
      "  sealwright audit verify audit.jsonl --cert audit.crt --head 41:6b86b273ff34fce1...",
    ].join("\n"),
  },
});

const showCommand = buildCommand<ShowFlags, [string], Context>({
  async func(given, log) {
    await run(this, given, log, async (report) =>
      (await import("../show/audit.ts")).showAuditEntries(report, given.limit),
    );
  },
  parameters: {
    positional: logArgument,
    flags: {
      ...flags,
      limit: {
        kind: "parsed",
        parse: parseLimit,
        default: "20",
        brief: "Show that many of the last entries; 0 for all",
        placeholder: "N",
      },
    },
  },
  docs: {
    brief: "Show what was signed, after the log was verified",
    fullDescription: [
      "Shows the last entries of an audit log: what was signed, of which image, and who approved it. The whole log is",
      "verified first; one that does not hold is not shown.",
      "",
      "EXAMPLES",
      "  sealwright audit show audit.jsonl --cert audit.crt",
      "  sealwright audit show audit.jsonl --cert audit.crt --limit 0 --json",
    ].join("\n"),
  },
});

export const auditRoutes = buildRouteMap<string, Context>({
  routes: { verify: verifyCommand, show: showCommand },
  docs: { brief: "Audit logs of signers: what was signed, and that the record is whole" },
});
