/** Keys in AWS Key Management Service. */
import * as v from "valibot";
import { signAwsRequest } from "../../../formats/sigv4/index.ts";
import { quote, UsageError } from "../../../lib/errors.ts";
import type { Environment, KeyContext, SigningKey } from "../signing-key.ts";
import { findAwsCredentials } from "./aws-credentials.ts";
import { awsDomain } from "./aws-domain.ts";
import { awsProfile } from "./aws-profile.ts";
import { ServiceClient } from "./client.ts";
import { parseServiceReference, requireUrl } from "./reference.ts";
import { fromBase64, toServiceKey } from "./service-key.ts";
import { keepFresh, runningClock } from "./time.ts";

const signAnswer = v.object({ KeyId: v.string(), Signature: v.string(), SigningAlgorithm: v.string() });
const publicKeyAnswer = v.object({ PublicKey: v.string() });

/**
 * Opens a key in AWS KMS: `awskms:KEY[?region=…&endpoint=…]`, where KEY is an identifier, `alias/NAME`, or the ARN of
 * one of these.
 *
 * @throws {UsageError} `signer.reference`, `signer.region-missing`, `signer.credentials-missing`
 * @see AWS KMS API Reference, Sign and GetPublicKey
 */
export async function openAwsKmsKey(reference: string, context: KeyContext): Promise<SigningKey> {
  const { path: keyId, parameters } = parseServiceReference(reference, ["region", "endpoint"]);
  const { env = {}, signal } = context;
  const region = parameters["region"] ?? regionOfArn(keyId) ?? (await regionOf(context));
  if (region === undefined || !/^[a-z0-9-]{1,40}$/.test(region)) {
    throw new UsageError("signer.region-missing", `awskms: ${quote(keyId)}: no region is known`, {
      hint: "set AWS_REGION, or name it with awskms:KEY?region=REGION",
    });
  }
  const endpoint = requireUrl(parameters["endpoint"] ?? endpointOf(env, region), "awskms: endpoint");
  const client = new ServiceClient({ env, signal });
  const credentials = keepFresh(() => findAwsCredentials(client, context, region));
  await credentials();
  const clock = runningClock(context.now);
  const name = `AWS KMS key ${quote(keyId)}`;

  const ask = async <T>(operation: "Sign" | "GetPublicKey", input: object, schema: v.GenericSchema<unknown, T>) => {
    const body = JSON.stringify(input);
    const headers = {
      host: endpoint.host,
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": `TrentService.${operation}`,
    };
    const signed = signAwsRequest(
      { method: "POST", headers: Object.entries(headers), body: Buffer.from(body) },
      await credentials(),
      { region, service: "kms", time: clock() },
    );
    const request = { what: `${name}: ${operation}`, method: "POST", url: new URL("/", endpoint), body } as const;
    return await client.json({ ...request, headers: { ...headers, ...signed } }, schema);
  };
  return toServiceKey(
    {
      name,
      publicKey: async () => fromBase64((await ask("GetPublicKey", { KeyId: keyId }, publicKeyAnswer)).PublicKey),
      signDigest: async (digest, { kind }) => {
        const SigningAlgorithm = kind === "ec" ? "ECDSA_SHA_256" : "RSASSA_PKCS1_V1_5_SHA_256";
        const Message = Buffer.from(digest).toString("base64");
        const input = { KeyId: keyId, Message, MessageType: "DIGEST", SigningAlgorithm };
        return fromBase64((await ask("Sign", input, signAnswer)).Signature);
      },
    },
    client,
  );
}

/** `arn:aws:kms:REGION:ACCOUNT:key/…` */
function regionOfArn(keyId: string): string | undefined {
  return /^arn:[a-z-]+:kms:([a-z0-9-]+):/.exec(keyId)?.[1];
}

async function regionOf(context: KeyContext): Promise<string | undefined> {
  const { env = {} } = context;
  return env["AWS_REGION"] || env["AWS_DEFAULT_REGION"] || (await awsProfile(context))["region"];
}

function endpointOf(env: Environment, region: string): string {
  const given = env["AWS_ENDPOINT_URL_KMS"] || env["AWS_ENDPOINT_URL"];
  if (given) return given;
  const service = env["AWS_USE_FIPS_ENDPOINT"] === "true" ? "kms-fips" : "kms";
  return `https://${service}.${region}.${awsDomain(region)}`;
}
