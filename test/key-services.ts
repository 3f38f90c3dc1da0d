/**
 * Stand-ins for key services, with their real HTTP APIs. Each checks a request as the service would, by code of its
 * own, and answers in the service's words.
 */
import {
  constants,
  createHash,
  createHmac,
  createPublicKey,
  type KeyObject,
  privateEncrypt,
  verify,
} from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Answer {
  readonly status?: number;
  readonly body: unknown;
}

export interface KeyServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly Received[];
  /** Answers in the place of the service until it gives nothing. */
  override: ((request: Received) => Answer | Buffer | "hang" | "cut" | undefined) | undefined;
}

type Handler = (request: Received) => Answer;

export async function startKeyServer(handle: Handler, tls?: { key: string; cert: string }): Promise<KeyServer> {
  const requests: Received[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const received = toReceived(request, Buffer.concat(chunks).toString("utf8"));
      requests.push(received);
      const other = server.override?.(received);
      if (other === "hang") return;
      if (other === "cut") response.destroy();
      else if (Buffer.isBuffer(other)) response.end(other);
      else respond(response, other ?? handle(received));
    });
  };
  const http = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  const server: KeyServer = {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    requests,
    override: undefined,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  return server;
}

function toReceived(request: IncomingMessage, body: string): Received {
  const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
  return { method: request.method ?? "", path: request.url ?? "", headers: Object.fromEntries(headers), body };
}

function respond(response: ServerResponse, { body, status = 200 }: Answer): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** Signs a digest that is given, without hashing it again: RSASSA-PKCS1-v1_5 by padding a DigestInfo ourselves. */
export function signDigest(key: KeyObject, digest: Buffer): Buffer {
  if (digest.length !== 32) throw new Error(`digest of ${digest.length} bytes`);
  const prefix = Buffer.from("3031300d060960864801650304020105000420", "hex");
  return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.concat([prefix, digest]));
}

const spkiOf = (key: KeyObject): Buffer => createPublicKey(key).export({ format: "der", type: "spki" });
const pemOf = (key: KeyObject): string => createPublicKey(key).export({ format: "pem", type: "spki" }).toString();

// --- AWS KMS and STS

export interface AwsAccount {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly region: string;
  /** By identifier, alias or ARN. */
  readonly keys: Readonly<Record<string, KeyObject>>;
}

const awsFailure = (type: string, message: string): Answer => ({ status: 400, body: { __type: type, message } });

export function awsKms(account: AwsAccount): Handler {
  return (request) => {
    const { body, headers, method, path } = request;
    if (method !== "POST" || path !== "/") return { status: 404, body: {} };
    const refused = refuseAwsSignature(request, account);
    if (refused !== undefined) return awsFailure("InvalidSignatureException", refused);
    if (headers["content-type"] !== "application/x-amz-json-1.1") return awsFailure("SerializationException", "type");
    const input = JSON.parse(body) as Record<string, string>;
    const key = account.keys[input["KeyId"] ?? ""];
    if (key === undefined) return awsFailure("NotFoundException", `Key '${input["KeyId"]}' does not exist`);
    if (headers["x-amz-target"] === "TrentService.GetPublicKey") {
      return { body: { KeyId: "arn:aws:kms:x", PublicKey: base64(spkiOf(key)), KeyUsage: "SIGN_VERIFY" } };
    }
    if (headers["x-amz-target"] !== "TrentService.Sign") return awsFailure("UnknownOperationException", "");
    const digest = Buffer.from(input["Message"] ?? "", "base64");
    if (input["MessageType"] !== "DIGEST" || digest.length !== 32) return awsFailure("ValidationException", "digest");
    if (input["SigningAlgorithm"] !== "RSASSA_PKCS1_V1_5_SHA_256") {
      return awsFailure("InvalidKeyUsageException", `Algorithm ${input["SigningAlgorithm"]} is incompatible`);
    }
    const Signature = base64(signDigest(key, digest));
    return { body: { KeyId: "arn:aws:kms:x", Signature, SigningAlgorithm: input["SigningAlgorithm"] } };
  };
}

/** "Authenticating Requests": takes the authorization apart and computes it again from what arrived. */
function refuseAwsSignature(request: Received, account: AwsAccount): string | undefined {
  const { headers } = request;
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/kms\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(
      headers["authorization"] ?? "",
    );
  if (match === null) return "authorization header";
  const [, id = "", day = "", region = "", names = "", signature = ""] = match;
  const date = headers["x-amz-date"] ?? "";
  if (id !== account.accessKeyId || region !== account.region || !date.startsWith(day)) return "credential scope";
  if (account.sessionToken !== headers["x-amz-security-token"]) return "security token";
  const sent = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!(Math.abs(sent - Date.now()) < 300_000)) return "Signature expired";
  const list = names.split(";");
  for (const must of ["host", "x-amz-date", "x-amz-target"]) if (!list.includes(must)) return `${must} is not signed`;
  const canonical = ["POST", "/", ""];
  for (const name of list) canonical.push(`${name}:${headers[name]}`);
  canonical.push("", names, createHash("sha256").update(request.body).digest("hex"));
  const hash = createHash("sha256").update(canonical.join("\n")).digest("hex");
  let key: Buffer = Buffer.from(`AWS4${account.secretAccessKey}`);
  for (const part of [day, region, "kms", "aws4_request"]) key = createHmac("sha256", key).update(part).digest();
  const text = `AWS4-HMAC-SHA256\n${date}\n${day}/${region}/kms/aws4_request\n${hash}`;
  const expected = createHmac("sha256", key).update(text).digest("hex");
  // The real service shows the canonical string, headers and all.
  return expected === signature ? undefined : `does not match: ${canonical.join(" ")}`;
}

/** Gives credentials for the token of an identity provider. */
export function awsSts(token: string, role: string, credentials: AwsAccount): Handler {
  return ({ body, headers, path }) => {
    const form = new URLSearchParams(body);
    const right =
      path === "/" &&
      headers["content-type"] === "application/x-www-form-urlencoded" &&
      headers["accept"] === "application/json" &&
      form.get("Action") === "AssumeRoleWithWebIdentity" &&
      form.get("Version") === "2011-06-15" &&
      (form.get("RoleSessionName") ?? "").length > 1 &&
      form.get("RoleArn") === role &&
      form.get("WebIdentityToken") === token;
    if (!right) return { status: 403, body: { Error: { Code: "AccessDenied" } } };
    const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken } = credentials;
    const Credentials = { AccessKeyId, SecretAccessKey, SessionToken, Expiration: 1.8e9 };
    const AssumeRoleWithWebIdentityResult = { Credentials };
    return { body: { AssumeRoleWithWebIdentityResponse: { AssumeRoleWithWebIdentityResult } } };
  };
}

// --- Google Cloud KMS

/** CRC-32C by table, unlike the code under test. */
export function crc32c(bytes: Uint8Array): string {
  const table = Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    return value >>> 0;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = ((table[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8)) >>> 0;
  return String((crc ^ 0xffffffff) >>> 0);
}

const googleFailure = (code: number, status: string, message: string): Answer => ({
  status: code,
  body: { error: { code, status, message } },
});

export function googleKms(token: string, version: string, key: KeyObject): Handler {
  return ({ body, headers, method, path }) => {
    if (headers["authorization"] !== `Bearer ${token}`) {
      return googleFailure(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    }
    if (method === "GET" && path === `/v1/${version}/publicKey`) {
      const pem = pemOf(key);
      const algorithm = "RSA_SIGN_PKCS1_2048_SHA256";
      return { body: { pem, algorithm, pemCrc32c: crc32c(Buffer.from(pem)), name: version } };
    }
    if (method !== "POST" || path !== `/v1/${version}:asymmetricSign`) {
      return googleFailure(404, "NOT_FOUND", "CryptoKeyVersion not found.");
    }
    const input = JSON.parse(body) as { digest: { sha256: string }; digestCrc32c: string };
    const digest = Buffer.from(input.digest.sha256, "base64");
    if (digest.length !== 32) return googleFailure(400, "INVALID_ARGUMENT", "The digest has the wrong length.");
    if (input.digestCrc32c !== crc32c(digest)) return googleFailure(400, "INVALID_ARGUMENT", "The checksum is wrong.");
    const signature = signDigest(key, digest);
    return {
      body: {
        name: version,
        signature: base64(signature),
        signatureCrc32c: crc32c(signature),
        verifiedDigestCrc32c: true,
        protectionLevel: "HSM",
      },
    };
  };
}

/** Google's token service: takes a JWT that the service account's key signed (RFC 7523). */
export function googleTokens(account: { email: string; keyId: string; key: KeyObject }, token: string): Handler {
  return ({ body, headers, path }) => {
    const form = new URLSearchParams(body);
    const [header = "", claims = "", signature = ""] = (form.get("assertion") ?? "").split(".");
    const decode = (part: string) =>
      JSON.parse(Buffer.from(part, "base64url").toString() || "{}") as Record<string, unknown>;
    const [head, said] = [decode(header), decode(claims)];
    const now = Date.now() / 1000;
    const right =
      path === "/token" &&
      form.get("grant_type") === "urn:ietf:params:oauth:grant-type:jwt-bearer" &&
      head["alg"] === "RS256" &&
      head["kid"] === account.keyId &&
      said["iss"] === account.email &&
      said["aud"] === `http://${headers["host"]}/token` &&
      said["scope"] === "https://www.googleapis.com/auth/cloudkms" &&
      Math.abs(Number(said["iat"]) - now) < 300 &&
      Number(said["exp"]) - Number(said["iat"]) === 3600 &&
      verify(
        "sha256",
        Buffer.from(`${header}.${claims}`),
        createPublicKey(account.key),
        Buffer.from(signature, "base64url"),
      );
    if (!right) return { status: 400, body: { error: "invalid_grant", error_description: "Invalid JWT Signature." } };
    return { body: { access_token: token, expires_in: 3599, token_type: "Bearer" } };
  };
}

/** The metadata service of an instance. */
export function googleMetadata(token: string): Handler {
  return ({ headers, path }) => {
    if (headers["metadata-flavor"] !== "Google") return { status: 403, body: {} };
    if (path !== "/computeMetadata/v1/instance/service-accounts/default/token") return { status: 404, body: {} };
    return { body: { access_token: token, expires_in: 300, token_type: "Bearer" } };
  };
}

// --- Azure Key Vault and Entra ID

const azureFailure = (status: number, code: string, message: string): Answer => ({
  status,
  body: { error: { code, message } },
});

export function azureVault(token: string, name: string, version: string, key: KeyObject): Handler {
  const kid = `https://prod.vault.azure.net/keys/${name}/${version}`;
  return ({ body, headers, method, path }) => {
    const url = new URL(path, "http://stand.in");
    if (headers["authorization"] !== `Bearer ${token}`) return azureFailure(401, "Unauthorized", "AKV10032");
    if (url.searchParams.get("api-version") !== "7.4") return azureFailure(400, "BadParameter", "api-version");
    if (method === "GET" && [`/keys/${name}`, `/keys/${name}/${version}`].includes(url.pathname)) {
      const { n, e } = createPublicKey(key).export({ format: "jwk" });
      return { body: { key: { kid, kty: "RSA-HSM", key_ops: ["sign", "verify"], n, e }, attributes: {} } };
    }
    if (method !== "POST" || url.pathname !== `/keys/${name}/${version}/sign`) {
      return azureFailure(404, "KeyNotFound", "A key with this name was not found in this key vault.");
    }
    const input = JSON.parse(body) as { alg: string; value: string };
    const digest = Buffer.from(input.value, "base64url");
    if (input.alg !== "RS256" || digest.length !== 32 || /[+/=]/.test(input.value)) {
      return azureFailure(400, "BadParameter", "Property has invalid value");
    }
    return { body: { kid, value: signDigest(key, digest).toString("base64url") } };
  };
}

export function entraTokens(tenant: string, client: { id: string; secret: string }, token: string): Handler {
  return ({ body, path }) => {
    const form = new URLSearchParams(body);
    const right =
      path === `/${tenant}/oauth2/v2.0/token` &&
      form.get("grant_type") === "client_credentials" &&
      form.get("client_id") === client.id &&
      form.get("scope") === "https://vault.azure.net/.default" &&
      (form.get("client_secret") === client.secret ||
        (form.get("client_assertion") === client.secret &&
          form.get("client_assertion_type") === "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    if (!right) return { status: 401, body: { error: "invalid_client", error_description: "AADSTS7000215" } };
    return { body: { token_type: "Bearer", expires_in: 3599, access_token: token } };
  };
}

// --- Vault

export interface Vault {
  readonly token: string;
  readonly namespace?: string;
  readonly mount: string;
  readonly name: string;
  /** Version 1 first; the last is the one that signs. */
  readonly keys: readonly KeyObject[];
}

export function vaultTransit({ keys, mount, name, namespace, token }: Vault): Handler {
  return ({ body, headers, method, path }) => {
    if (headers["x-vault-token"] !== token || headers["x-vault-namespace"] !== namespace) {
      return { status: 403, body: { errors: ["permission denied"] } };
    }
    if (method === "GET" && path === `/v1/${mount}/keys/${name}`) {
      const versions = keys.map((key, index) => [index + 1, { public_key: pemOf(key), name: "rsa-2048" }]);
      return { body: { data: { type: "rsa-2048", latest_version: keys.length, keys: Object.fromEntries(versions) } } };
    }
    if (method !== "POST" || path !== `/v1/${mount}/sign/${name}/sha2-256`)
      return { status: 404, body: { errors: [] } };
    const input = JSON.parse(body) as Record<string, unknown>;
    const digest = Buffer.from(String(input["input"]), "base64");
    const version = Number(input["key_version"] ?? keys.length);
    const key = keys[version - 1];
    // Without these two, Vault would hash the digest again, and pad it as RSA-PSS.
    if (input["prehashed"] !== true || input["signature_algorithm"] !== "pkcs1v15" || key === undefined) {
      return { status: 400, body: { errors: ["invalid request"] } };
    }
    return {
      body: { data: { key_version: version, signature: `vault:v${version}:${base64(signDigest(key, digest))}` } },
    };
  };
}
