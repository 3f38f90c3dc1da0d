/** Credentials for AWS, from the places of its own tools and in their order. */
import * as v from "valibot";
import type { AwsCredentials } from "../../../formats/sigv4/index.ts";
import { UsageError } from "../../../lib/errors.ts";
import { loadSecretLine } from "../secret-file.ts";
import type { KeyContext } from "../signing-key.ts";
import { awsDomain } from "./aws-domain.ts";
import { awsProfile } from "./aws-profile.ts";
import type { ServiceClient } from "./client.ts";
import { requireUrl } from "./reference.ts";

/** What container services and the metadata service of instances answer. */
const temporaryAnswer = v.object({ AccessKeyId: v.string(), SecretAccessKey: v.string(), Token: v.string() });

/** The JSON form of AssumeRoleWithWebIdentity. */
const assumedAnswer = v.object({
  AssumeRoleWithWebIdentityResponse: v.object({
    AssumeRoleWithWebIdentityResult: v.object({
      Credentials: v.object({ AccessKeyId: v.string(), SecretAccessKey: v.string(), SessionToken: v.string() }),
    }),
  }),
});

/**
 * Environment, then the role of a web identity token (CI systems, Kubernetes), then the profile, then the container.
 *
 * @throws {UsageError} `signer.credentials-missing`
 * @throws as `ServiceClient.json`
 */
export async function findAwsCredentials(
  client: ServiceClient,
  context: KeyContext,
  region: string,
): Promise<AwsCredentials> {
  const credentials =
    fromEnvironment(context) ??
    (await fromWebIdentity(client, context, region)) ??
    (await fromProfile(context)) ??
    (await fromContainer(client, context));
  if (credentials === undefined) {
    throw new UsageError("signer.credentials-missing", "awskms: no AWS credentials", {
      hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN",
    });
  }
  client.hide(credentials.secretAccessKey);
  client.hide(credentials.sessionToken);
  return credentials;
}

function fromEnvironment({ env = {} }: KeyContext): AwsCredentials | undefined {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: env["AWS_SESSION_TOKEN"] || undefined };
}

async function fromProfile(context: KeyContext): Promise<AwsCredentials | undefined> {
  const profile = await awsProfile(context);
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey } = profile;
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: profile["aws_session_token"] || undefined };
}

/** STS gives temporary credentials of a role for the token of an identity provider; this request is not signed. */
async function fromWebIdentity(
  client: ServiceClient,
  context: KeyContext,
  region: string,
): Promise<AwsCredentials | undefined> {
  const { env = {} } = context;
  const { AWS_ROLE_ARN: role, AWS_WEB_IDENTITY_TOKEN_FILE: tokenPath } = env;
  if (!role || !tokenPath) return undefined;
  // Mounted by Kubernetes with 0644 in a directory of the pod's own: the mode says nothing there.
  const token = await loadSecretLine(tokenPath, "web identity token", { allowLooseKeyPermissions: true });
  client.hide(token);
  const endpoint =
    env["AWS_ENDPOINT_URL_STS"] || env["AWS_ENDPOINT_URL"] || `https://sts.${region}.${awsDomain(region)}`;
  const form = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: role,
    RoleSessionName: env["AWS_ROLE_SESSION_NAME"] || "sealwright",
    WebIdentityToken: token,
  });
  const answer = await client.json(
    {
      what: "AWS STS: assume role",
      method: "POST",
      url: new URL("/", requireUrl(endpoint, "AWS STS endpoint")),
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: form.toString(),
    },
    assumedAnswer,
  );
  const given = answer.AssumeRoleWithWebIdentityResponse.AssumeRoleWithWebIdentityResult.Credentials;
  return { accessKeyId: given.AccessKeyId, secretAccessKey: given.SecretAccessKey, sessionToken: given.SessionToken };
}

/** ECS and EKS pod identity. */
async function fromContainer(client: ServiceClient, { env = {} }: KeyContext): Promise<AwsCredentials | undefined> {
  const relative = env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"];
  const full = env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] || (relative && `http://169.254.170.2${relative}`);
  if (!full) return undefined;
  const tokenPath = env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
  const token = tokenPath
    ? await loadSecretLine(tokenPath, "container token", { allowLooseKeyPermissions: true })
    : env["AWS_CONTAINER_AUTHORIZATION_TOKEN"];
  client.hide(token);
  const answer = await client.json(
    {
      what: "AWS container credentials",
      method: "GET",
      url: requireUrl(full, "AWS container credentials"),
      headers: token ? { authorization: token } : {},
    },
    temporaryAnswer,
  );
  return { accessKeyId: answer.AccessKeyId, secretAccessKey: answer.SecretAccessKey, sessionToken: answer.Token };
}
