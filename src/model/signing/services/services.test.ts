import { execFileSync } from "node:child_process";
import { createPrivateKey, sign } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../../test/code-of.ts";
import { vector } from "../../../../test/fixtures.ts";
import {
  type AwsAccount,
  awsKms,
  awsSts,
  azureVault,
  entraTokens,
  googleKms,
  googleMetadata,
  googleTokens,
  type KeyServer,
  type Received,
  startKeyServer,
  vaultTransit,
} from "../../../../test/key-services.ts";
import { isSignedWith } from "../../../formats/x509/index.ts";
import { SealwrightError } from "../../../lib/errors.ts";
import { openPolicyKey, openSigner } from "../open-signer.ts";
import type { Environment } from "../signing-key.ts";
import { ServiceClient } from "./client.ts";

const message = Buffer.from("message");
const now = new Date();
const keyFile = (name: string): string => vector(`secureboot/keys/test-${name}.key`);
const dbKey = createPrivateKey(await readFile(keyFile("db")));
const otherKey = createPrivateKey(await readFile(keyFile("db2")));
const certificatePath = vector("secureboot/keys/test-db.crt");
const expected = sign("sha256", message, dbKey);

let directory = "";
const open: AsyncDisposable[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-services-"));
});
afterAll(async () => {
  for (const each of open) await each[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function start(...args: Parameters<typeof startKeyServer>): Promise<KeyServer> {
  const server = await startKeyServer(...args);
  open.push(server);
  return server;
}

/** All secrets of this file: none may be in anything that is thrown or shown. */
const SECRETS = {
  awsSecret: "wJalr/secret+access+key",
  awsSession: "FwoGZXIvYXdzE/session/token==",
  identity: "eyJ.identity.token",
  google: "ya29.google-token",
  azure: "eyJ0.azure-token",
  azureSecret: "azure~client~secret",
  vault: "hvs.vault-token",
} as const;

function expectNoSecret(value: unknown): void {
  const shown = inspect(value, { depth: 20, showHidden: true });
  for (const secret of Object.values(SECRETS)) expect(shown).not.toContain(secret);
}

interface Service {
  readonly name: string;
  readonly reference: (server: KeyServer) => string;
  readonly start: () => Promise<KeyServer>;
  readonly env: (server: KeyServer) => Environment;
  readonly isSigning: (request: Received) => boolean;
  /** An answer to signing that has this signature. */
  readonly answer: (signature: Buffer) => unknown;
  readonly wrongCredentials: Environment;
  readonly otherKey: (reference: string) => string;
}

const aws: AwsAccount = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: SECRETS.awsSecret,
  sessionToken: SECRETS.awsSession,
  region: "eu-central-1",
  keys: { "alias/db": dbKey },
};
const awsEnv = {
  AWS_ACCESS_KEY_ID: aws.accessKeyId,
  AWS_SECRET_ACCESS_KEY: SECRETS.awsSecret,
  AWS_SESSION_TOKEN: SECRETS.awsSession,
  AWS_REGION: aws.region,
};
const version = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/db/cryptoKeyVersions/1";

const SERVICES: readonly Service[] = [
  {
    name: "AWS KMS",
    start: () => start(awsKms(aws)),
    reference: () => "awskms:alias/db",
    env: ({ url }) => ({ ...awsEnv, AWS_ENDPOINT_URL_KMS: url }),
    isSigning: ({ headers }) => headers["x-amz-target"] === "TrentService.Sign",
    answer: (signature) => ({ KeyId: "k", Signature: signature.toString("base64"), SigningAlgorithm: "x" }),
    wrongCredentials: { AWS_SECRET_ACCESS_KEY: "another/secret" },
    otherKey: () => "awskms:alias/none",
  },
  {
    name: "Google Cloud KMS",
    start: () => start(googleKms(SECRETS.google, version, dbKey)),
    reference: ({ url }) => `gcpkms:${version}?endpoint=${url}`,
    env: () => ({ GOOGLE_OAUTH_ACCESS_TOKEN: SECRETS.google }),
    isSigning: ({ path }) => path.endsWith(":asymmetricSign"),
    answer: (signature) => ({
      name: version,
      signature: signature.toString("base64"),
      signatureCrc32c: "0",
      verifiedDigestCrc32c: true,
    }),
    wrongCredentials: { GOOGLE_OAUTH_ACCESS_TOKEN: "ya29.other" },
    otherKey: (reference) => reference.replace("cryptoKeyVersions/1", "cryptoKeyVersions/2"),
  },
  {
    name: "Azure Key Vault",
    start: () => start(azureVault(SECRETS.azure, "db", "0123abcd", dbKey)),
    reference: ({ url }) => `azurekv:prod/db/0123abcd?endpoint=${url}`,
    env: () => ({ AZURE_ACCESS_TOKEN: SECRETS.azure }),
    isSigning: ({ path }) => path.includes("/sign?"),
    answer: (signature) => ({ kid: "k", value: signature.toString("base64url") }),
    wrongCredentials: { AZURE_ACCESS_TOKEN: "eyJ0.other" },
    otherKey: (reference) => reference.replace("prod/db", "prod/none"),
  },
  {
    name: "Vault",
    start: () => start(vaultTransit({ token: SECRETS.vault, mount: "transit", name: "db", keys: [otherKey, dbKey] })),
    reference: () => "vault:db",
    env: ({ url }) => ({ VAULT_ADDR: url, VAULT_TOKEN: SECRETS.vault }),
    isSigning: ({ path }) => path.includes("/sign/"),
    answer: (signature) => ({ data: { signature: `vault:v2:${signature.toString("base64")}` } }),
    wrongCredentials: { VAULT_TOKEN: "hvs.other" },
    otherKey: () => "vault:none",
  },
];

describe.each(SERVICES)("$name", (service) => {
  let server: KeyServer;
  beforeAll(async () => {
    server = await service.start();
  });
  const openHere = (env: Environment = {}, reference = service.reference(server)) =>
    openSigner(reference, { certificatePath, now, env: { ...service.env(server), ...env } });

  /** What one signature is refused with; nothing of a secret is in it. */
  async function refusalOf(work: () => Promise<{ sign(message: Uint8Array): Promise<Uint8Array> } & AsyncDisposable>) {
    try {
      await using signer = await work();
      await signer.sign(message);
    } catch (error) {
      expectNoSecret(error);
      if (error instanceof SealwrightError) return error.code;
      throw error;
    }
    return "accepted";
  }
  async function withOverride(answer: KeyServer["override"]): Promise<string> {
    server.override = answer;
    try {
      return await refusalOf(() => openHere());
    } finally {
      server.override = undefined;
    }
  }

  test("signs", async () => {
    await using signer = await openHere();
    expect(Buffer.compare(await signer.sign(message), expected)).toBe(0);
    expectNoSecret(signer);
  });

  test("tells the public key", async () => {
    await using key = await openPolicyKey(service.reference(server), { now, env: service.env(server) });
    expect(isSignedWith(key.publicKey, "sha256", message, await key.sign(message))).toBe(true);
    expect(Buffer.compare(await key.sign(message), expected)).toBe(0);
  });

  test("refuses wrong credentials, and a key that is not there", async () => {
    expect(await refusalOf(() => openHere(service.wrongCredentials))).toBe("signer.service-denied");
    const reference = service.otherKey(service.reference(server));
    expect(await refusalOf(() => openHere({}, reference))).toBe("signer.service-refused");
  });

  test("a signature by another key, and what is no signature, go no further", async () => {
    const wrong = sign("sha256", message, otherKey);
    const answer = (signature: Buffer) => (request: Received) =>
      service.isSigning(request) ? { body: service.answer(signature) } : undefined;
    // Google's checksum is wrong as well, which is seen first.
    const code = service.name === "Google Cloud KMS" ? "signer.service-answer" : "signer.signature-wrong";
    expect(await withOverride(answer(wrong))).toBe(code);
    expect(await withOverride(answer(expected.subarray(0, 255)))).toBe(code);
  });

  test("an answer that is none", async () => {
    const body = (text: string) => () => Buffer.from(text);
    expect(await withOverride(body(""))).toBe("signer.service-answer");
    expect(await withOverride(body("<html>login</html>"))).toBe("signer.service-answer");
    expect(await withOverride(body("[]"))).toBe("signer.service-answer");
    expect(await withOverride(body(JSON.stringify({ padding: "x".repeat(70_000) })))).toBe("signer.service-answer");
  });

  test("any answer gives a signature that verifies or a refusal", async () => {
    const whole = JSON.stringify(service.answer(expected));
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), fc.string({ maxLength: 3 }), fc.nat(3), async (at, inserted, cut) => {
        const text = whole.slice(0, at) + inserted + whole.slice(at + cut);
        const code = await withOverride(() => Buffer.from(text));
        expect(["accepted", "signer.service-answer", "signer.signature-wrong"]).toContain(code);
      }),
      { numRuns: 40 },
    );
  });

  test("a failure that passes is tried again, and what went over the wire held the digest alone", async () => {
    let failures = 1;
    const before = server.requests.length;
    const code = await withOverride((request) =>
      service.isSigning(request) && failures-- > 0 ? { status: 503, body: { errors: ["sealed"] } } : undefined,
    );
    expect(code).toBe("accepted");
    const signing = server.requests.slice(before).filter((request) => service.isSigning(request));
    expect(signing.length).toBe(2);
    expect(JSON.stringify(signing)).not.toContain(message.toString("base64"));
  });
});

describe("ServiceClient", () => {
  test("gives up on what is down, silent, cut off or redirects", async () => {
    const server = await start(() => ({ body: {} }));
    const refusal = async (override: KeyServer["override"]): Promise<string> => {
      server.override = override;
      await using client = new ServiceClient({ timeoutMs: 200, retryDelaysMs: [1] });
      return await codeOfAsync(() => client.bytes({ what: "test", method: "GET", url: new URL(server.url) }));
    };
    expect(await refusal(() => "hang")).toBe("signer.service-timeout");
    expect(await refusal(() => "cut")).toBe("signer.service-unreachable");
    expect(await refusal(() => ({ status: 302, body: {} }))).toBe("signer.service-refused");
    expect(await refusal(() => ({ status: 500, body: {} }))).toBe("signer.service-unavailable");
    expect(await refusal(() => ({ status: 400, body: { __type: "ThrottlingException" } }))).toBe(
      "signer.service-unavailable",
    );
    expect(server.requests.length).toBe(9);
    await server[Symbol.asyncDispose]();
    expect(await refusal(undefined)).toBe("signer.service-unreachable");
  });

  test("sends nothing in the clear to other machines", async () => {
    await using client = new ServiceClient();
    const ask = (url: string) => client.bytes({ what: "test", method: "GET", url: new URL(url) });
    expect(await codeOfAsync(() => ask("http://vault.example.com/"))).toBe("signer.endpoint-insecure");
    expect(await codeOfAsync(() => ask("ftp://127.0.0.1/"))).toBe("signer.endpoint-insecure");
  });

  test("takes long secrets out of long messages", async () => {
    const secret = "s".repeat(500);
    const server = await start(() => ({ status: 400, body: { message: `token ${secret} is bad` } }));
    await using client = new ServiceClient();
    client.hide(secret);
    const ask = client.bytes({ what: "test", method: "GET", url: new URL(server.url) });
    await expect(ask).rejects.toThrow(/token \[secret\] is bad/);
  });

  test("ends when it is interrupted", async () => {
    const server = await start(() => ({ body: {} }));
    const controller = new AbortController();
    server.override = () => {
      controller.abort();
      return "hang";
    };
    await using client = new ServiceClient({ signal: controller.signal });
    const ask = () => client.bytes({ what: "test", method: "GET", url: new URL(server.url) });
    expect(await codeOfAsync(ask)).toBe("interrupted");
  });
});

/** Signs once, with credentials from these places. */
async function signs(reference: string, env: Environment, home?: string): Promise<string> {
  return await codeOfAsync(async () => {
    await using signer = await openSigner(reference, { certificatePath, now, env, home });
    expect(Buffer.compare(await signer.sign(message), expected)).toBe(0);
  });
}

async function secretFile(name: string, content: string, mode = 0o600): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content, { mode });
  return path;
}

describe("AWS credentials come from", () => {
  test("a web identity token, which is exchanged for a role's", async () => {
    const [kms, sts] = [await start(awsKms(aws)), await start(awsSts(SECRETS.identity, "arn:aws:iam::1:role/r", aws))];
    const env = {
      AWS_REGION: aws.region,
      AWS_ROLE_ARN: "arn:aws:iam::1:role/r",
      AWS_WEB_IDENTITY_TOKEN_FILE: await secretFile("identity", `${SECRETS.identity}\n`, 0o644),
      AWS_ENDPOINT_URL_KMS: kms.url,
      AWS_ENDPOINT_URL_STS: sts.url,
    };
    expect(await signs("awskms:alias/db", env)).toBe("accepted");
    expect(await signs("awskms:alias/db", { ...env, AWS_ROLE_ARN: "other" })).toBe("signer.service-denied");
  });

  test("a profile of the command line's files", async () => {
    const kms = await start(awsKms(aws));
    const credentials = [
      "[default]",
      "aws_access_key_id = other",
      "aws_secret_access_key = other",
      "[release]",
      `aws_access_key_id = ${aws.accessKeyId}`,
      `aws_secret_access_key=${aws.secretAccessKey}`,
      `aws_session_token=${aws.sessionToken}`,
    ].join("\n");
    const env = {
      AWS_PROFILE: "release",
      AWS_CONFIG_FILE: await secretFile("config", `[profile release]\nregion = ${aws.region}\n`),
      AWS_SHARED_CREDENTIALS_FILE: await secretFile("credentials", credentials),
      AWS_ENDPOINT_URL: kms.url,
    };
    expect(await signs("awskms:alias/db", env)).toBe("accepted");
    const loose = { ...env, AWS_SHARED_CREDENTIALS_FILE: await secretFile("loose", credentials, 0o644) };
    expect(await signs("awskms:alias/db", loose)).toBe("signer.key-permissions");
  });

  test("a container", async () => {
    const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: Token } = aws;
    const container = await start(({ headers }) =>
      headers["authorization"] === SECRETS.identity
        ? { body: { AccessKeyId, SecretAccessKey, Token } }
        : { status: 401, body: {} },
    );
    const env = {
      AWS_REGION: aws.region,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.url}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: SECRETS.identity,
      AWS_ENDPOINT_URL_KMS: (await start(awsKms(aws))).url,
    };
    expect(await signs("awskms:alias/db", env)).toBe("accepted");
  });

  test("nowhere, which is said before anything is sent", async () => {
    expect(await signs("awskms:alias/db", { AWS_REGION: "x" })).toBe("signer.credentials-missing");
    expect(await signs("awskms:alias/db", {})).toBe("signer.region-missing");
  });
});

describe("Google tokens come from", () => {
  const account = { email: "signer@p.iam.gserviceaccount.com", keyId: "key-1", key: otherKey };

  test("a service account, whose key signs for one", async () => {
    const tokens = await start(googleTokens(account, SECRETS.google));
    const kms = await start(googleKms(SECRETS.google, version, dbKey));
    const json = {
      type: "service_account",
      client_email: account.email,
      private_key_id: account.keyId,
      private_key: await readFile(keyFile("db2"), "utf8"),
      token_uri: `${tokens.url}/token`,
    };
    const env = {
      GOOGLE_APPLICATION_CREDENTIALS: await secretFile("account.json", JSON.stringify(json)),
      CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: kms.url,
    };
    expect(await signs(`gcpkms:${version}`, env)).toBe("accepted");
    expect(await signs(`gcpkms://${version}`, env)).toBe("accepted");
    const wrong = { ...json, private_key: await readFile(keyFile("db"), "utf8") };
    const GOOGLE_APPLICATION_CREDENTIALS = await secretFile("wrong.json", JSON.stringify(wrong));
    expect(await signs(`gcpkms:${version}`, { ...env, GOOGLE_APPLICATION_CREDENTIALS })).toBe("signer.service-refused");
  });

  test("the metadata service", async () => {
    const metadata = await start(googleMetadata(SECRETS.google));
    const kms = await start(googleKms(SECRETS.google, version, dbKey));
    const env = { GCE_METADATA_HOST: new URL(metadata.url).host, CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: kms.url };
    expect(await signs(`gcpkms:${version}`, env, directory)).toBe("accepted");
  });

  test.each([
    ["signer.credentials-malformed", "no JSON"],
    ["signer.credentials-malformed", JSON.stringify({ no: "type" })],
    ["signer.credentials-unsupported", JSON.stringify({ type: "external_account" })],
    [
      "signer.credentials-malformed",
      JSON.stringify({ type: "service_account", client_email: "a", private_key: "b", token_uri: "https://c" }),
    ],
  ])("nowhere, with %s for %s", async (code, content) => {
    const GOOGLE_APPLICATION_CREDENTIALS = await secretFile("other.json", content);
    expect(await signs(`gcpkms:${version}`, { GOOGLE_APPLICATION_CREDENTIALS })).toBe(code);
  });
});

describe("Azure tokens come from", () => {
  const client = { id: "app", secret: SECRETS.azureSecret };
  const env = async () => ({
    AZURE_TENANT_ID: "tenant",
    AZURE_CLIENT_ID: client.id,
    AZURE_AUTHORITY_HOST: (await start(entraTokens("tenant", client, SECRETS.azure))).url,
  });

  test("a client secret, and from a federated token", async () => {
    const vault = await start(azureVault(SECRETS.azure, "db", "0123abcd", dbKey));
    const reference = `azurekv:https://prod.vault.azure.net/keys/db?endpoint=${vault.url}`;
    const base = await env();
    expect(await signs(reference, { ...base, AZURE_CLIENT_SECRET: client.secret })).toBe("accepted");
    const AZURE_FEDERATED_TOKEN_FILE = await secretFile("federated", client.secret, 0o644);
    expect(await signs(reference, { ...base, AZURE_FEDERATED_TOKEN_FILE })).toBe("accepted");
    expect(await signs(reference, { ...base, AZURE_CLIENT_SECRET: "wrong" })).toBe("signer.service-denied");
    expect(await signs(reference, base)).toBe("signer.credentials-missing");
  });
});

test("Vault is reached over TLS with an authority of its own, in a namespace, at a version and a mount", async () => {
  const [key, cert] = [join(directory, "tls.key"), join(directory, "tls.crt")];
  const san = ["-addext", "subjectAltName=IP:127.0.0.1"];
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=vault", ...san];
  execFileSync("openssl", [...request, "-keyout", key, "-out", cert], { stdio: "ignore" });
  const tls = { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
  const vault = { token: SECRETS.vault, namespace: "team", mount: "pki/transit", name: "db", keys: [dbKey, otherKey] };
  const server = await start(vaultTransit(vault), tls);
  const home = await mkdtemp(join(directory, "home-"));
  await writeFile(join(home, ".vault-token"), SECRETS.vault, { mode: 0o600 });
  const env = { VAULT_ADDR: server.url, VAULT_NAMESPACE: "team", VAULT_CACERT: cert };
  const reference = "vault:db?mount=pki/transit&version=1";
  expect(await signs(reference, env, home)).toBe("accepted");
  expect(await signs(reference, { ...env, VAULT_CACERT: "" }, home)).toBe("signer.service-unreachable");
  expect(await signs(reference, env)).toBe("signer.credentials-missing");
  expect(await signs("vault:db?mount=pki/transit", env, home)).toBe("signer.signature-wrong");
});

test.each([
  "awskms:",
  "awskms:key name",
  "awskms:alias/db?regoin=x",
  "awskms:alias/db?region=a&region=b",
  "awskms:alias/db?region=x&endpoint=none",
  "gcpkms:projects/p",
  "azurekv:prod",
  "azurekv:vault.example.com/db",
  "azurekv:prod/db/1/2",
  "vault:a/b",
  "vault:db",
  "vault:db?version=x",
])("openSigner() refuses the notation %s", async (reference) => {
  expect(await codeOfAsync(() => openSigner(reference, { certificatePath, now, env: {} }))).toBe("signer.reference");
});
