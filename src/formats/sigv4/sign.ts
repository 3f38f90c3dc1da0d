import { createHash, createHmac } from "node:crypto";

export interface AwsRequest {
  readonly method: string;
  /** All that are signed, `host` among them; a name may come more than once. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string | undefined;
}

export interface AwsScope {
  readonly region: string;
  readonly service: string;
  readonly time: Date;
}

const ALGORITHM = "AWS4-HMAC-SHA256";

/**
 * Signs a request.
 *
 * @returns the headers to send besides those given: `x-amz-date`, `authorization` and, for temporary credentials,
 *   `x-amz-security-token`
 */
export function signAwsRequest(
  request: AwsRequest,
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
  { region, service, time }: AwsScope,
): Record<string, string> {
  const date = `${time.toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
  const day = date.slice(0, 8);
  const added = {
    "x-amz-date": date,
    ...(sessionToken === undefined ? {} : { "x-amz-security-token": sessionToken }),
  };
  const { names, text } = canonicalRequest({ ...request, headers: [...request.headers, ...Object.entries(added)] });
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = [ALGORITHM, date, scope, sha256(text)].join("\n");
  const key = [day, region, service, "aws4_request"].reduce<Uint8Array>(hmac, Buffer.from(`AWS4${secretAccessKey}`));
  const signature = Buffer.from(hmac(key, toSign)).toString("hex");
  const authorization = `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...added, authorization };
}

/** What is hashed of a request to `/`; and the names of its headers, sorted, as the authorization lists them. */
export function canonicalRequest({ body, headers, method }: AwsRequest): {
  readonly names: string;
  readonly text: string;
} {
  const values = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    values.set(key, [...(values.get(key) ?? []), value.trim().replaceAll(/\s+/g, " ")]);
  }
  const sorted = [...values].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const names = sorted.map(([name]) => name).join(";");
  const lines = sorted.map(([name, all]) => `${name}:${all.join(",")}\n`).join("");
  return { names, text: [method, "/", "", lines, names, sha256(body)].join("\n") };
}

function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text, "utf8").digest();
}
