/** Access tokens of Microsoft Entra ID. */
import * as v from "valibot";
import { UsageError } from "../../../lib/errors.ts";
import { loadSecretLine } from "../secret-file.ts";
import type { Environment, KeyContext } from "../signing-key.ts";
import type { ServiceClient } from "./client.ts";
import { requireUrl } from "./reference.ts";

const tokenAnswer = v.object({ access_token: v.string() });

/**
 * `AZURE_ACCESS_TOKEN`; or the client credentials of an application: `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` with
 * `AZURE_CLIENT_SECRET` or, for workload identity, `AZURE_FEDERATED_TOKEN_FILE`.
 *
 * @param resource what the token is for, a URL without a path
 * @throws {UsageError} `signer.credentials-missing`; as `ServiceClient.json`
 */
export async function findAzureToken(client: ServiceClient, context: KeyContext, resource: string): Promise<string> {
  const { env = {} } = context;
  const token = env["AZURE_ACCESS_TOKEN"] || (await fromApplication(client, env, resource));
  client.hide(token);
  return token;
}

async function fromApplication(client: ServiceClient, env: Environment, resource: string): Promise<string> {
  const { AZURE_CLIENT_ID: id, AZURE_TENANT_ID: tenant } = env;
  const proof = await proofOf(env);
  if (!id || !tenant || proof === undefined || !/^[\w.-]+$/.test(tenant)) {
    throw new UsageError("signer.credentials-missing", "azurekv: no Azure credentials", {
      hint: "set AZURE_ACCESS_TOKEN, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
    });
  }
  for (const secret of Object.values(proof)) client.hide(secret);
  const authority = requireUrl(
    env["AZURE_AUTHORITY_HOST"] || "https://login.microsoftonline.com/",
    "AZURE_AUTHORITY_HOST",
  );
  const form = { grant_type: "client_credentials", client_id: id, scope: `${resource}/.default`, ...proof };
  const request = {
    what: "Azure: access token",
    method: "POST",
    url: new URL(`/${tenant}/oauth2/v2.0/token`, authority),
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(form).toString(),
  } as const;
  return (await client.json(request, tokenAnswer)).access_token;
}

/** RFC 6749 §2.3.1 for secrets, RFC 7523 §2.2 for tokens of another identity provider. */
async function proofOf(env: Environment): Promise<Record<string, string> | undefined> {
  const { AZURE_CLIENT_SECRET: secret, AZURE_FEDERATED_TOKEN_FILE: path } = env;
  if (secret) return { client_secret: secret };
  if (!path) return undefined;
  // Mounted by Kubernetes: the mode says nothing there.
  const assertion = await loadSecretLine(path, "federated token", { allowLooseKeyPermissions: true });
  const type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
  return { client_assertion_type: type, client_assertion: assertion };
}
