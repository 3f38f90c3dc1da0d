/** Timestamps from authorities on the net. */
import { createHash } from "node:crypto";
import {
  encodeTimestampRequest,
  parseTimestampResponse,
  parseTimestampToken,
  verifyTimestamp,
} from "../../formats/rfc3161/index.ts";
import { quote, UsageError } from "../../lib/errors.ts";
import { ServiceClient, type ServiceClientOptions } from "./services/client.ts";

export interface TimestampOptions extends ServiceClientOptions {
  /** Makes the nonce, by which an answer is known to be to this request. */
  readonly randomBytes: (size: number) => Uint8Array;
}

/**
 * Asks an authority to stamp these bytes, and verifies what it gives. Trust in the authority is not judged.
 *
 * @returns the token, DER
 * @throws {VerificationError} `timestamp.refused`, `timestamp.other-content`, `timestamp.nonce`, `cms.…`
 * @throws {FormatError} `timestamp.…`, `der.…`
 * @throws {ServiceError} `signer.service-…`
 * @see RFC 3161 §3.4, time-stamp protocol via HTTP
 */
export async function requestTimestamp(
  url: string,
  stamped: Uint8Array,
  { randomBytes, ...options }: TimestampOptions,
): Promise<Uint8Array> {
  if (!URL.canParse(url) || !/^https?:/i.test(url)) {
    throw new UsageError("timestamp.url", `timestamping authority ${quote(url)}: expected an http or https URL`);
  }
  const nonce = BigInt(`0x${Buffer.from(randomBytes(8)).toString("hex")}`);
  const digest = createHash("sha256").update(stamped).digest();
  await using client = new ServiceClient(options);
  const answer = await client.bytes({
    what: "timestamp",
    method: "POST",
    url: new URL(url),
    headers: { "content-type": "application/timestamp-query", accept: "application/timestamp-reply" },
    body: encodeTimestampRequest({ digest, nonce }),
    public: true,
  });
  const token = parseTimestampResponse(answer);
  verifyTimestamp(parseTimestampToken(token), stamped, nonce);
  return token;
}
