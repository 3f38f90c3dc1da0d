/**
 * A program that signs: the SHA-256 digest on standard input, the signature on standard output.
 *
 *     standard input    32 bytes
 *     standard output   RSA: the raw RSASSA-PKCS1-v1_5 signature, as long as the modulus; EC: DER of ECDSA-Sig-Value
 *     environment       SEALWRIGHT_SIGN_ALGORITHM: RSASSA_PKCS1_V1_5_SHA_256 or ECDSA_SHA_256
 *                       SEALWRIGHT_SIGN_KEY: RSA-2048, P-256, …: the key that is expected
 */
import { createHash } from "node:crypto";
import { type KeyFacts, showKey } from "../../../formats/x509/index.ts";
import { CommandError, quote, UsageError } from "../../../lib/errors.ts";
import { startCommand } from "../../host-io/command.ts";
import { throwIfInterrupted } from "../../host-io/interrupt.ts";
import { SECRET_VARIABLES } from "../secrets.ts";
import type { Environment, KeyContext, SigningKey } from "../signing-key.ts";
import { redact } from "./redact.ts";
import { splitWords } from "./split-words.ts";

/** A signer may ask somebody to touch a key or to approve. */
const TIMEOUT_MS = 120_000;

/** Safety limit: an RSA-8192 signature has 1024 bytes. */
const MAX_SIGNATURE_SIZE = 4096;

/**
 * @param reference `exec:PROGRAM ARGUMENT…`; words as a shell splits them, quotes and backslashes included, nothing else
 * @throws {UsageError} `signer.reference`; signing throws {CommandError} `signer.exec-failed`, `signer.exec-timeout`
 */
export async function openExecKey(
  reference: string,
  { env = {}, signal }: KeyContext,
  timeoutMs = TIMEOUT_MS,
): Promise<SigningKey> {
  const [program, ...args] = splitWords(reference.slice("exec:".length)) ?? [];
  if (program === undefined || program === "") {
    throw new UsageError("signer.reference", "exec: expected exec:PROGRAM ARGUMENT…, with every quote closed");
  }
  const name = `program ${quote(program)}`;
  return {
    name,
    publicKey: async () => undefined,
    async sign(message, facts) {
      throwIfInterrupted(signal);
      const digest = createHash("sha256").update(message).digest();
      const timeout = AbortSignal.timeout(timeoutMs);
      const ended = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
      try {
        const options = { stdin: digest, env: childEnvironment(env, facts), signal: ended };
        return await readSignature([program, ...args], options);
      } catch (error) {
        throwIfInterrupted(signal);
        if (timeout.aborted) {
          throw new CommandError("signer.exec-timeout", `${name}: no signature after ${timeoutMs / 1000} seconds`);
        }
        throw error instanceof CommandError ? failure(error, env) : error;
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function readSignature(
  argv: readonly [string, ...string[]],
  options: NonNullable<Parameters<typeof startCommand>[1]>,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  await using command = startCommand(argv, options);
  for await (const chunk of command.stdout) {
    size += chunk.length;
    if (size > MAX_SIGNATURE_SIZE) {
      const message = `found more than ${MAX_SIGNATURE_SIZE} bytes on standard output, expected a raw signature`;
      throw new CommandError("command.output-too-large", message);
    }
    chunks.push(chunk);
  }
  await command.finished();
  return Buffer.concat(chunks, size);
}

/** Everything but the secrets that are meant for us. */
function childEnvironment(env: Environment, facts: KeyFacts): Record<string, string> {
  const ours: readonly string[] = Object.values(SECRET_VARIABLES);
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !ours.includes(entry[0]),
  );
  return {
    ...Object.fromEntries(kept),
    SEALWRIGHT_SIGN_ALGORITHM: facts.kind === "ec" ? "ECDSA_SHA_256" : "RSASSA_PKCS1_V1_5_SHA_256",
    SEALWRIGHT_SIGN_KEY: showKey(facts),
  };
}

/**
 * The arguments may hold what only the user should see, so they are in neither message nor data. What the program said
 * may be anything, so nothing of it moves the cursor.
 */
function failure({ message, code, data }: CommandError, env: Environment): CommandError {
  const { status, signal } = data;
  // oxlint-disable-next-line no-control-regex -- control characters are what is being removed
  const said = redact(message, env).replaceAll(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/g, " ");
  return new CommandError("signer.exec-failed", `exec: ${said}`, {
    data: { reason: code, ...(status === undefined ? {} : { status }), ...(signal === undefined ? {} : { signal }) },
  });
}
