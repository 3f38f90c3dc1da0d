import { createHash } from "node:crypto";
import { VerificationError } from "../errors.ts";

/**
 * Passes a source on and throws at its end unless it was what its name says. Until then nothing of it is verified.
 *
 * @param digest `<algorithm>:<hex>`
 * @throws {VerificationError} `blob.size-mismatch` (a longer source: as soon as it is), `blob.digest-mismatch`
 */
export async function* verifyDigest(
  source: AsyncIterable<Uint8Array>,
  digest: string,
  size: number,
): AsyncGenerator<Uint8Array, void, void> {
  const [algorithm, expected] = digest.split(":") as [string, string];
  const hash = createHash(algorithm);
  let found = 0;
  for await (const chunk of source) {
    found += chunk.length;
    if (found > size) throw sizeMismatch(digest, size, `${found} or more`);
    hash.update(chunk);
    yield chunk;
  }
  if (found !== size) throw sizeMismatch(digest, size, String(found));
  const hex = hash.digest("hex");
  if (hex === expected) return;
  throw new VerificationError("blob.digest-mismatch", `blob ${digest}: found ${algorithm}:${hex}`, {
    data: { expected: digest, found: `${algorithm}:${hex}` },
  });
}

function sizeMismatch(digest: string, size: number, found: string): VerificationError {
  return new VerificationError("blob.size-mismatch", `blob ${digest}: found ${found} bytes, expected ${size}`, {
    data: { expected: size, found },
  });
}
