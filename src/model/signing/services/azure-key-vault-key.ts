/** Keys in Azure Key Vault and Azure Managed HSM. */
import * as v from "valibot";
import { der } from "../../../formats/der/index.ts";
import {
  encodeEcdsaSignature,
  encodeEcPublicKey,
  encodeRsaPublicKey,
  type KeyFacts,
} from "../../../formats/x509/index.ts";
import { quote, UnsupportedError, UsageError } from "../../../lib/errors.ts";
import type { KeyContext, SigningKey } from "../signing-key.ts";
import { findAzureToken } from "./azure-token.ts";
import { ServiceClient } from "./client.ts";
import { parseServiceReference, requireUrl } from "./reference.ts";
import { toServiceKey } from "./service-key.ts";
import { keepFresh } from "./time.ts";

const API_VERSION = "7.4";

const signAnswer = v.object({ kid: v.string(), value: v.string() });
const keyAnswer = v.object({
  key: v.object({
    kid: v.string(),
    kty: v.string(),
    n: v.optional(v.string()),
    e: v.optional(v.string()),
    crv: v.optional(v.string()),
    x: v.optional(v.string()),
    y: v.optional(v.string()),
  }),
});
type Jwk = v.InferOutput<typeof keyAnswer>["key"];

/** Where vaults are, by cloud; a token is for one of these, so it is sent to no other host. */
const DOMAINS = [
  "vault.azure.net",
  "managedhsm.azure.net",
  "vault.azure.cn",
  "managedhsm.azure.cn",
  "vault.usgovcloudapi.net",
  "managedhsm.usgovcloudapi.net",
];

/** RFC 7518 §3.1 and §6.2.1.1, with the OID of RFC 5480. */
const CURVES: Readonly<Record<string, string>> = { "P-256": "1.2.840.10045.3.1.7" };

/**
 * Opens a key in Azure Key Vault: `azurekv:VAULT/NAME[/VERSION][?endpoint=…]`, where VAULT is a name or a host, or
 * `azurekv:https://HOST/keys/NAME/VERSION`, the key identifier as the portal shows it.
 *
 * Without a version the current one is looked up once, so that one seal is not signed with two.
 *
 * @throws {UsageError} `signer.reference`, `signer.credentials-missing`
 * @see Azure Key Vault REST API 7.4, Sign and Get Key
 */
export async function openAzureKey(reference: string, context: KeyContext): Promise<SigningKey> {
  const plain = reference.replace(/^azurekv:https:\/\/([^/]+)\/keys\//i, "azurekv:$1/");
  const { path, parameters } = parseServiceReference(plain, ["endpoint"]);
  const [vault = "", keyName = "", version, ...more] = path.split("/");
  if (!/^[\w-]+(?:\.[\w.-]+)?$/.test(vault) || !/^[\w-]+$/.test(keyName) || more.length > 0) {
    throw new UsageError("signer.reference", "azurekv: expected azurekv:VAULT/NAME or azurekv:VAULT/NAME/VERSION");
  }
  const host = vault.includes(".") ? vault.toLowerCase() : `${vault}.vault.azure.net`;
  const domain = DOMAINS.find((one) => host.endsWith(`.${one}`));
  if (domain === undefined) {
    throw new UsageError(
      "signer.reference",
      `azurekv: ${quote(host)} is no vault: expected a host in ${DOMAINS.join(", ")}`,
    );
  }
  const { env = {}, signal } = context;
  const endpoint = requireUrl(parameters["endpoint"] ?? `https://${host}`, "azurekv: endpoint");
  const client = new ServiceClient({ env, signal });
  const token = keepFresh(() => findAzureToken(client, context, `https://${domain}`));
  await token();
  const name = `Key Vault key ${quote(`${host}/${keyName}`)}`;
  const headers = async () => ({ authorization: `Bearer ${await token()}`, "content-type": "application/json" });
  const urlOf = (...segments: readonly string[]): URL => {
    const url = new URL(["/keys", keyName, ...segments].join("/"), endpoint);
    url.searchParams.set("api-version", API_VERSION);
    return url;
  };

  let known: Promise<Jwk> | undefined;
  const loadKey = async (): Promise<Jwk> => {
    const url = urlOf(...(version === undefined ? [] : [version]));
    const request = { what: `${name}: get key`, method: "GET", url, headers: await headers() } as const;
    return (await client.json(request, keyAnswer)).key;
  };
  const key = (): Promise<Jwk> => (known ??= loadKey());
  const currentVersion = async (): Promise<string> => {
    const found = version ?? (await key()).kid.split("/").at(-1) ?? "";
    if (/^\w+$/.test(found)) return found;
    throw client.malformed({ what: name, method: "GET", url: urlOf() }, "no version of the key");
  };
  return toServiceKey(
    {
      name,
      publicKey: async () => toSpki(await key(), name),
      async signDigest(digest, facts) {
        const body = JSON.stringify({
          alg: algorithmOf(facts, name),
          value: Buffer.from(digest).toString("base64url"),
        });
        const url = urlOf(await currentVersion(), "sign");
        const request = { what: `${name}: sign`, method: "POST", url, headers: await headers(), body } as const;
        const answer = await client.json(request, signAnswer);
        const signature = Buffer.from(answer.value, "base64url");
        return facts.kind === "ec" ? encodeEcdsaSignature(signature) : signature;
      },
    },
    client,
  );
}

/** RFC 7518 §3.1: ES256 is P-256 alone. */
function algorithmOf(facts: KeyFacts, name: string): "RS256" | "ES256" {
  if (facts.kind === "rsa") return "RS256";
  if (facts.kind === "ec" && facts.curve === "P-256") return "ES256";
  throw new UnsupportedError("signer.key-type", `${name}: Key Vault signs SHA-256 digests with RSA and P-256 only`);
}

const bytes = (text: string): Buffer => Buffer.from(text, "base64url");

/** RFC 7517, RFC 7518 §6. */
function toSpki({ kty, n, e, crv, x, y }: Jwk, name: string): Uint8Array {
  if (kty.startsWith("RSA") && n !== undefined && e !== undefined) return encodeRsaPublicKey(bytes(n), bytes(e));
  const curve = crv === undefined ? undefined : CURVES[crv];
  if (kty.startsWith("EC") && curve !== undefined && x !== undefined && y !== undefined) {
    return encodeEcPublicKey(der.oid(curve), Buffer.concat([Uint8Array.of(4), bytes(x), bytes(y)]));
  }
  throw new UnsupportedError("signer.key-type", `${name}: a key of type ${quote(kty)}, expected RSA or P-256`);
}
