import { buildCommand, buildRouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type ServiceFlags, serviceAddress, serviceFlags } from "../service-flags.ts";
import { signerServeCommand } from "./signer-serve.ts";
import { signerTokenRoutes } from "./signer-token.ts";

const directoryArgument = {
  kind: "tuple",
  parameters: [{ brief: "Directory of the request, of seal --prepare", parse: String, placeholder: "DIR" }],
} as const;

interface SubmitFlags extends ServiceFlags {
  readonly wait: boolean;
  readonly json: boolean;
}

const submitCommand = buildCommand<SubmitFlags, [string], Context>({
  async func(flags, directory) {
    await perform(this, flags.json, async () => {
      const [{ fetchSignatures, submitDirectory }, { showFetched, showSubmitted }] = await Promise.all([
        import("../../actions/signer-service/submit.ts"),
        import("../show/signer.ts"),
      ]);
      const options = { ...(await serviceAddress(this, flags)), progress: this.progress };
      const submitted = await submitDirectory(directory, options);
      if (!flags.wait) return showSubmitted(submitted);
      return showFetched(await fetchSignatures(directory, { ...options, wait: true }));
    });
  },
  parameters: {
    positional: directoryArgument,
    flags: {
      ...serviceFlags,
      wait: switchFlag("Wait until it is signed, and fetch the signatures"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Submit a signing request to the service",
    fullDescription: [
      "Sends request.json, and those files that are not made from the image: a stub, addons. The service makes the rest",
      "from the image itself. Submitting the same request again changes nothing; one that was refused or has expired starts",
      "anew.",
      "",
      "EXAMPLES",
      "  sealwright seal quay.io/example/os:1 --prepare request --to quay.io/example/os:sealed --cert db.crt",
      "  sealwright signer submit request --server https://signer.example --token-file token --wait",
      "  sealwright seal --attach request --to quay.io/example/os:sealed",
    ].join("\n"),
  },
});

const fetchCommand = buildCommand<SubmitFlags, [string], Context>({
  async func(flags, directory) {
    await perform(this, flags.json, async () => {
      const [{ fetchSignatures }, { showFetched }] = await Promise.all([
        import("../../actions/signer-service/submit.ts"),
        import("../show/signer.ts"),
      ]);
      const address = await serviceAddress(this, flags);
      return showFetched(await fetchSignatures(directory, { ...address, wait: flags.wait, progress: this.progress }));
    });
  },
  parameters: {
    positional: directoryArgument,
    flags: {
      ...serviceFlags,
      wait: switchFlag("Wait until it is signed, or will not be"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Fetch the signatures of a request into its directory",
    fullDescription: [
      "Exits with 81 when the request was refused, rejected or has expired, with 69 while it is not decided.",
      "",
      "EXAMPLES",
      "  sealwright signer fetch request --server https://signer.example --wait",
    ].join("\n"),
  },
});

interface ListFlags extends ServiceFlags {
  readonly state?: readonly State[];
  readonly json: boolean;
}

const STATES = ["receiving", "reviewing", "waiting", "signing", "signed", "refused", "rejected", "expired"] as const;
type State = (typeof STATES)[number];

const listCommand = buildCommand<ListFlags, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const [{ listServiceRequests }, { showRequests }] = await Promise.all([
        import("../../actions/signer-service/follow.ts"),
        import("../show/signer.ts"),
      ]);
      return showRequests(await listServiceRequests(flags.state ?? [], await serviceAddress(this, flags)));
    });
  },
  parameters: {
    flags: {
      ...serviceFlags,
      state: {
        kind: "enum",
        values: STATES,
        optional: true,
        variadic: true,
        brief: "Only requests in this state; repeatable",
      },
      json: jsonFlag,
    },
  },
  docs: {
    brief: "List the requests of a service, the newest first",
    fullDescription: [
      "EXAMPLES",
      "  sealwright signer list --server https://signer.example",
      "  sealwright signer list --state waiting --json",
    ].join("\n"),
  },
});

interface JsonFlags extends ServiceFlags {
  readonly json: boolean;
}

const decideCommand = buildCommand<JsonFlags, [string], Context>({
  async func(flags, file) {
    await perform(this, flags.json, async () => {
      const [{ sendDecision }, { showDecided }] = await Promise.all([
        import("../../actions/signer-service/follow.ts"),
        import("../show/signer.ts"),
      ]);
      return showDecided(await sendDecision(file, await serviceAddress(this, flags)));
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "approvals/NAME.json of sign-request --approve", parse: String, placeholder: "FILE" }],
    },
    flags: { ...serviceFlags, json: jsonFlag },
  },
  docs: {
    brief: "Bring a decision that was signed elsewhere to the service",
    fullDescription: [
      "It counts by its signature, whoever brings it. Approvers with a browser decide on the page of the service.",
      "",
      "EXAMPLES",
      "  sealwright signer decide request/approvals/alice.json --server https://signer.example",
    ].join("\n"),
  },
});

interface AuditFlags extends ServiceFlags {
  readonly output: string;
  readonly overwrite: boolean;
  readonly json: boolean;
}

const auditCommand = buildCommand<AuditFlags, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const { fetchAudit } = await import("../../actions/signer-service/follow.ts");
      const address = await serviceAddress(this, flags);
      const report = await fetchAudit(flags.output, { ...address, overwrite: flags.overwrite });
      return { text: `${report.log}: ${report.entries} entries\n${report.head}`, json: report };
    });
  },
  parameters: {
    flags: {
      ...serviceFlags,
      output: { ...textFlag("FILE", "Where the log goes; its head goes to FILE.head"), optional: false },
      overwrite: switchFlag("Replace a file that exists"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Fetch the audit log of a service",
    fullDescription: [
      "EXAMPLES",
      "  sealwright signer audit --server https://signer.example --output signer.log",
      "  sealwright audit verify signer.log --cert log.crt",
    ].join("\n"),
  },
});

export const signerRoutes = buildRouteMap<
  "serve" | "token" | "submit" | "fetch" | "list" | "decide" | "audit",
  Context
>({
  routes: {
    serve: signerServeCommand,
    token: signerTokenRoutes,
    submit: submitCommand,
    fetch: fetchCommand,
    list: listCommand,
    decide: decideCommand,
    audit: auditCommand,
  },
  docs: { brief: "The signing service: builders submit, approvers decide, it signs what was reviewed" },
});
