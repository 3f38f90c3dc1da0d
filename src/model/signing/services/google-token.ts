/** Access tokens for Google Cloud, from the places of its own libraries and in their order. */
import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import { join } from "node:path";
import * as v from "valibot";
import { FormatError, NotFoundError, quote, UnsupportedError, UsageError } from "../../../lib/errors.ts";
import { loadSecretFile } from "../secret-file.ts";
import type { Environment, KeyContext } from "../signing-key.ts";
import type { ServiceClient } from "./client.ts";
import { requireUrl } from "./reference.ts";

const SCOPE = "https://www.googleapis.com/auth/cloudkms";

/** Longest life that Google gives a token. */
const LIFETIME_SECONDS = 3600;

const tokenAnswer = v.object({ access_token: v.string() });

const serviceAccount = v.object({
  type: v.literal("service_account"),
  client_email: v.string(),
  private_key: v.string(),
  private_key_id: v.optional(v.string()),
  token_uri: v.string(),
});
const authorizedUser = v.object({
  type: v.literal("authorized_user"),
  client_id: v.string(),
  client_secret: v.string(),
  refresh_token: v.string(),
});
const otherType = v.object({ type: v.string() });

/**
 * `GOOGLE_OAUTH_ACCESS_TOKEN`; the file in `GOOGLE_APPLICATION_CREDENTIALS` or that of `gcloud auth
 * application-default login`; the metadata service of an instance.
 *
 * @throws {UsageError} `signer.credentials-missing`
 * @throws {UnsupportedError} `signer.credentials-unsupported` for other kinds of credentials
 * @throws {FormatError} `signer.credentials-malformed`; as `loadSecretFile`, as `ServiceClient.json`
 */
export async function findGoogleToken(client: ServiceClient, context: KeyContext, clock: () => Date): Promise<string> {
  const { env = {} } = context;
  const token =
    env["GOOGLE_OAUTH_ACCESS_TOKEN"] || (await fromFile(client, context, clock)) || (await fromMetadata(client, env));
  client.hide(token);
  return token;
}

async function fromFile(client: ServiceClient, context: KeyContext, clock: () => Date): Promise<string | undefined> {
  const { env = {}, home } = context;
  const named = env["GOOGLE_APPLICATION_CREDENTIALS"];
  const path = named || (home && join(home, ".config/gcloud/application_default_credentials.json"));
  if (!path) return undefined;
  let text: string;
  try {
    text = (await loadSecretFile(path, "Google credentials", context)).toString("utf8");
  } catch (error) {
    if (error instanceof NotFoundError && !named) return undefined;
    throw error;
  }
  const parsed = v.safeParse(v.union([serviceAccount, authorizedUser, otherType]), parseJson(text));
  if (!parsed.success) throw malformed(path);
  const { output } = parsed;
  if ("private_key" in output) return await fromServiceAccount(client, clock, output, path);
  if ("refresh_token" in output) return await fromRefreshToken(client, output);
  throw new UnsupportedError("signer.credentials-unsupported", `gcpkms: credentials of type ${quote(output.type)}`, {
    hint: "set GOOGLE_OAUTH_ACCESS_TOKEN to what gcloud auth print-access-token prints",
  });
}

/** RFC 7523: a token that the service account signs, for one that the service takes. */
async function fromServiceAccount(
  client: ServiceClient,
  clock: () => Date,
  account: v.InferOutput<typeof serviceAccount>,
  path: string,
): Promise<string> {
  const { client_email, private_key, private_key_id, token_uri } = account;
  const issued = Math.floor(clock().getTime() / 1000);
  const claims = { iss: client_email, scope: SCOPE, aud: token_uri, iat: issued, exp: issued + LIFETIME_SECONDS };
  const header = { alg: "RS256", typ: "JWT", ...(private_key_id === undefined ? {} : { kid: private_key_id }) };
  const text = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}`;
  const assertion = `${text}.${sign("sha256", Buffer.from(text), loadKey(private_key, path)).toString("base64url")}`;
  client.hide(assertion);
  return await askForToken(client, token_uri, {
    grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
    assertion,
  });
}

async function fromRefreshToken(client: ServiceClient, user: v.InferOutput<typeof authorizedUser>): Promise<string> {
  const { client_id, client_secret, refresh_token } = user;
  client.hide(client_secret);
  client.hide(refresh_token);
  const form = { grant_type: "refresh_token", client_id, client_secret, refresh_token };
  return await askForToken(client, "https://oauth2.googleapis.com/token", form);
}

async function askForToken(client: ServiceClient, url: string, form: Record<string, string>): Promise<string> {
  const request = {
    what: "Google Cloud: access token",
    method: "POST",
    url: requireUrl(url, "Google credentials: token_uri"),
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(form).toString(),
  } as const;
  return (await client.json(request, tokenAnswer)).access_token;
}

/** There are no credentials here; on a machine of Google's there is still its own account. */
async function fromMetadata(client: ServiceClient, env: Environment): Promise<string> {
  const host = env["GCE_METADATA_HOST"] || "metadata.google.internal";
  const url = requireUrl(
    `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`,
    "GCE_METADATA_HOST",
  );
  const request = {
    what: "Google Cloud: metadata service",
    method: "GET",
    url,
    headers: { "metadata-flavor": "Google" },
  } as const;
  try {
    return (await client.json(request, tokenAnswer)).access_token;
  } catch (cause) {
    throw new UsageError("signer.credentials-missing", "gcpkms: no Google Cloud credentials", {
      cause,
      hint: "set GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_OAUTH_ACCESS_TOKEN",
    });
  }
}

function loadKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw malformed(path); // OpenSSL's own message is dropped: nothing that was near a key goes into an error
  }
}

function malformed(path: string): FormatError {
  return new FormatError("signer.credentials-malformed", {
    what: `Google credentials ${quote(path)}`,
    expected: "JSON of a service account or a user",
    found: "something else",
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function base64url(text: string): string {
  return Buffer.from(text).toString("base64url");
}
