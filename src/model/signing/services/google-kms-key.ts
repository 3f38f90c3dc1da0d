/** Keys in Google Cloud Key Management Service. */
import { createPublicKey } from "node:crypto";
import * as v from "valibot";
import { crc32cOf } from "../../../lib/bytes/crc32c.ts";
import { UsageError } from "../../../lib/errors.ts";
import type { KeyContext, SigningKey } from "../signing-key.ts";
import { ServiceClient } from "./client.ts";
import { findGoogleToken } from "./google-token.ts";
import { parseServiceReference, requireUrl } from "./reference.ts";
import { fromBase64, toServiceKey } from "./service-key.ts";
import { keepFresh, runningClock } from "./time.ts";

const signAnswer = v.object({
  name: v.string(),
  signature: v.string(),
  signatureCrc32c: v.string(),
  verifiedDigestCrc32c: v.literal(true),
});
const publicKeyAnswer = v.object({ pem: v.string(), pemCrc32c: v.string(), name: v.string() });

const NAME = /^projects\/[\w.:-]+\/locations\/[\w-]+\/keyRings\/[\w-]+\/cryptoKeys\/[\w-]+\/cryptoKeyVersions\/\d+$/;

/**
 * Opens a version of a key in Cloud KMS:
 * `gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N[?endpoint=…]`.
 *
 * Checksums are sent and compared both ways, as Google asks callers to do.
 *
 * @throws {UsageError} `signer.reference`, `signer.credentials-missing`
 * @see Cloud KMS REST reference, cryptoKeyVersions.asymmetricSign and getPublicKey
 */
export async function openGoogleKmsKey(reference: string, context: KeyContext): Promise<SigningKey> {
  const { path: version, parameters } = parseServiceReference(reference, ["endpoint"]);
  if (!NAME.test(version)) {
    throw new UsageError(
      "signer.reference",
      "gcpkms: expected projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N",
    );
  }
  const { env = {}, signal } = context;
  const override = env["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"];
  const endpoint = requireUrl(
    parameters["endpoint"] ?? (override || "https://cloudkms.googleapis.com/"),
    "gcpkms: endpoint",
  );
  const client = new ServiceClient({ env, signal });
  const clock = runningClock(context.now);
  const token = keepFresh(() => findGoogleToken(client, context, clock));
  await token();
  const authorization = async (): Promise<string> => `Bearer ${await token()}`;
  const name = `Cloud KMS key "${version.split("/").slice(-3).join("/")}"`;

  return toServiceKey(
    {
      name,
      async publicKey() {
        const request = {
          what: `${name}: public key`,
          method: "GET",
          url: new URL(`/v1/${version}/publicKey`, endpoint),
          headers: { authorization: await authorization() },
        } as const;
        const answer = await client.json(request, publicKeyAnswer);
        if (answer.pemCrc32c !== crc32cText(Buffer.from(answer.pem)))
          throw client.malformed(request, "a wrong CRC-32C");
        return createPublicKey(answer.pem).export({ format: "der", type: "spki" });
      },
      async signDigest(digest) {
        const sha256 = Buffer.from(digest).toString("base64");
        const request = {
          what: `${name}: sign`,
          method: "POST",
          url: new URL(`/v1/${version}:asymmetricSign`, endpoint),
          headers: { authorization: await authorization(), "content-type": "application/json" },
          body: JSON.stringify({ digest: { sha256 }, digestCrc32c: crc32cText(digest) }),
        } as const;
        const answer = await client.json(request, signAnswer);
        const signature = fromBase64(answer.signature);
        if (answer.name !== version) throw client.malformed(request, "the signature of another key");
        if (answer.signatureCrc32c !== crc32cText(signature)) throw client.malformed(request, "a wrong CRC-32C");
        return signature;
      },
    },
    client,
  );
}

/** CRC-32C in decimal: Google's JSON has 64-bit numbers as text. */
function crc32cText(bytes: Uint8Array): string {
  return String(crc32cOf(bytes));
}
