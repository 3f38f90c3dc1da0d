/** Keys in the transit engine of HashiCorp Vault and OpenBao. */
import { createPublicKey } from "node:crypto";
import { join } from "node:path";
import * as v from "valibot";
import { NotFoundError, quote, UsageError } from "../../../lib/errors.ts";
import { loadFile } from "../../host-io/files.ts";
import { loadSecretLine } from "../secret-file.ts";
import type { KeyContext, SigningKey } from "../signing-key.ts";
import { ServiceClient, type ServiceRequest } from "./client.ts";
import { parseServiceReference, requireUrl } from "./reference.ts";
import { fromBase64, toServiceKey } from "./service-key.ts";
import { keepFresh } from "./time.ts";

const signAnswer = v.object({ data: v.object({ signature: v.string() }) });
const keyAnswer = v.object({
  data: v.object({ latest_version: v.number(), keys: v.record(v.string(), v.object({ public_key: v.string() })) }),
});

/** Safety limit on files of authorities. */
const MAX_AUTHORITIES_SIZE = 1 << 20;

/**
 * Opens a key in Vault: `vault:NAME[?mount=transit&version=N&address=URL]`.
 *
 * @throws {UsageError} `signer.reference`, `signer.credentials-missing`
 * @see "Transit secrets engine (API)", Sign data and Read key
 */
export async function openVaultKey(reference: string, context: KeyContext): Promise<SigningKey> {
  const { path: keyName, parameters } = parseServiceReference(reference, ["mount", "version", "address"]);
  const { mount = "transit", version } = parameters;
  if (
    !/^[\w.-]+$/.test(keyName) ||
    !/^[\w./-]+$/.test(mount) ||
    (version !== undefined && !/^\d{1,9}$/.test(version))
  ) {
    throw new UsageError("signer.reference", "vault: expected vault:NAME?mount=PATH&version=NUMBER");
  }
  const { env = {}, signal } = context;
  const address = parameters["address"] ?? (env["VAULT_ADDR"] || env["BAO_ADDR"]);
  if (address === undefined || address === "") {
    throw new UsageError("signer.reference", "vault: no address is known", {
      hint: "set VAULT_ADDR, or name it with vault:NAME?address=URL",
    });
  }
  const base = requireUrl(address, "vault: address");
  const authority = env["VAULT_CACERT"] || env["BAO_CACERT"];
  const authorities = authority ? [await loadAuthorities(authority)] : [];
  const client = new ServiceClient({ env, signal, authorities });
  const token = keepFresh(() => requireToken(context));
  client.hide(await token());
  const name = `Vault key ${quote(keyName)}`;
  const namespace = env["VAULT_NAMESPACE"] || env["BAO_NAMESPACE"];
  const requestTo = async (what: string, path: string): Promise<Pick<ServiceRequest, "what" | "url" | "headers">> => ({
    what: `${name}: ${what}`,
    url: new URL(`${base.pathname.replace(/\/$/, "")}/v1/${mount}/${path}`, base),
    headers: {
      "x-vault-token": await token(),
      "x-vault-request": "true",
      ...(namespace ? { "x-vault-namespace": namespace } : {}),
    },
  });

  return toServiceKey(
    {
      name,
      async publicKey() {
        const request = { ...(await requestTo("read key", `keys/${keyName}`)), method: "GET" } as const;
        const { keys, latest_version } = (await client.json(request, keyAnswer)).data;
        const pem = keys[version ?? `${latest_version}`]?.public_key;
        const spki = pem === undefined ? undefined : toSpki(pem);
        if (spki === undefined) throw client.malformed(request, "no public key of this version");
        return spki;
      },
      async signDigest(digest, { kind }) {
        const body = JSON.stringify({
          input: Buffer.from(digest).toString("base64"),
          prehashed: true,
          ...(kind === "ec" ? { marshaling_algorithm: "asn1" } : { signature_algorithm: "pkcs1v15" }),
          ...(version === undefined ? {} : { key_version: Number(version) }),
        });
        const request = { ...(await requestTo("sign", `sign/${keyName}/sha2-256`)), method: "POST", body } as const;
        const { signature } = (await client.json(request, signAnswer)).data;
        const encoded = /^vault:v\d+:([A-Za-z0-9+/=]+)$/.exec(signature)?.[1];
        if (encoded === undefined) throw client.malformed(request, "a signature that is not vault:vN:BASE64");
        return fromBase64(encoded);
      },
    },
    client,
  );
}

/** From the environment, or where `vault login` leaves it. */
async function requireToken(context: KeyContext): Promise<string> {
  const { env = {}, home } = context;
  const given =
    env["VAULT_TOKEN"] || env["BAO_TOKEN"] || (home && (await storedToken(join(home, ".vault-token"), context)));
  if (given) return given;
  throw new UsageError("signer.credentials-missing", "vault: no token", {
    hint: "set VAULT_TOKEN, or run: vault login",
  });
}

async function storedToken(path: string, context: KeyContext): Promise<string | undefined> {
  try {
    return await loadSecretLine(path, "Vault token", context);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

async function loadAuthorities(path: string): Promise<string> {
  const bytes = await loadFile(path, "certificate of Vault's authority", MAX_AUTHORITIES_SIZE, "signer.file-too-large");
  return Buffer.from(bytes).toString("utf8");
}

function toSpki(pem: string): Uint8Array | undefined {
  try {
    return createPublicKey(pem).export({ format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}
