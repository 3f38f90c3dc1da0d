import { randomBytes } from "node:crypto";
import { buildCommand, buildRouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { queueFlag, queuePlace } from "../queue-flag.ts";

const ROLES = ["builder", "approver", "auditor"] as const;

interface AddFlags {
  readonly role: (typeof ROLES)[number];
  readonly clientCert?: string;
  readonly queue?: string;
  readonly json: boolean;
}

const nameArgument = {
  kind: "tuple",
  parameters: [{ brief: "Name of the client, in logs and on the page", parse: String, placeholder: "NAME" }],
} as const;

const addCommand = buildCommand<AddFlags, [string], Context>({
  async func(flags, name) {
    await perform(this, flags.json, async () => {
      const [{ grantAccess }, { showAdded }] = await Promise.all([
        import("../../actions/signer-service/manage-access.ts"),
        import("../show/signer.ts"),
      ]);
      return showAdded(
        await grantAccess(name, {
          queue: await queuePlace(this, flags.queue),
          role: flags.role,
          certificatePath: flags.clientCert,
          now: new Date(),
          randomBytes,
        }),
      );
    });
  },
  parameters: {
    positional: nameArgument,
    flags: {
      role: { kind: "enum", values: ROLES, brief: "builder submits, approver decides, auditor reads; all may read" },
      clientCert: textFlag("FILE", "Let in by this client certificate instead of a token"),
      queue: queueFlag,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Give a client access: prints its token, which is kept as a hash only",
    fullDescription: [
      "A name is given once: a revoked one stays taken, so that one name in the log is one client.",
      "",
      "EXAMPLES",
      "  sealwright signer token add ci --role builder > token",
      "  sealwright signer token add alice --role approver --client-cert alice.crt",
    ].join("\n"),
  },
});

interface QueueFlags {
  readonly queue?: string;
  readonly json: boolean;
}

const listCommand = buildCommand<QueueFlags, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const [{ showAccess }, { showAccessList }] = await Promise.all([
        import("../../actions/signer-service/manage-access.ts"),
        import("../show/signer.ts"),
      ]);
      return showAccessList(await showAccess(await queuePlace(this, flags.queue)));
    });
  },
  parameters: { flags: { queue: queueFlag, json: jsonFlag } },
  docs: { brief: "List who has access" },
});

const revokeCommand = buildCommand<QueueFlags, [string], Context>({
  async func(flags, name) {
    await perform(this, flags.json, async () => {
      const { withdrawAccess } = await import("../../actions/signer-service/manage-access.ts");
      await withdrawAccess(name, await queuePlace(this, flags.queue), new Date());
      return { text: `${name} has no access any more`, json: { name } };
    });
  },
  parameters: { positional: nameArgument, flags: { queue: queueFlag, json: jsonFlag } },
  docs: { brief: "Take the access of a client away, at once" },
});

export const signerTokenRoutes = buildRouteMap<"add" | "list" | "revoke", Context>({
  routes: { add: addCommand, list: listCommand, revoke: revokeCommand },
  docs: { brief: "Who may talk to the service" },
});
