import { createHash } from "node:crypto";
import { NotFoundError } from "../../lib/errors.ts";

export interface Releases {
  /** Of the release files, hex: another one means other packages. */
  readonly digest: string;
  /** The newest of their dates, in seconds since 1970: a time for the image that does not depend on the day. */
  readonly newest: number;
}

/** Safety limit in milliseconds for one release file of some hundred KiB. */
const TIMEOUT_MS = 60_000;

/**
 * Looks up the state of an archive. Only the time is taken from it here; apt checks signatures when it installs.
 *
 * @param sources lines of sources.list
 * @throws {NotFoundError} `debian.release-unreachable`
 */
export async function fetchReleases(sources: readonly string[], signal?: AbortSignal): Promise<Releases> {
  const hash = createHash("sha256");
  let newest = 0;
  for (const source of sources) {
    const [, server, suite] = source.split(" ");
    const text = await fetchText(`${server}/dists/${suite}/InRelease`, signal);
    hash.update(text);
    newest = Math.max(newest, Date.parse(/^Date: (.*)$/m.exec(text)?.[1] ?? "") / 1000);
  }
  return { digest: hash.digest("hex"), newest };
}

async function fetchText(url: string, signal: AbortSignal | undefined): Promise<string> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(url, { signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) });
    if (response.ok) return await response.text();
    throw new Error(`${response.status} ${response.statusText}`);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new NotFoundError("debian.release-unreachable", `${url}: the release file cannot be read`, {
      cause,
      hint: "check the network and the name of the suite",
    });
  }
}
