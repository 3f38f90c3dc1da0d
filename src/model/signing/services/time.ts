/** Time that passes between opening a signer and signing: building an image takes minutes. */

/** A clock that runs on from a time given by the doors. */
export function runningClock(now: Date): () => Date {
  const start = performance.now();
  return () => new Date(now.getTime() + performance.now() - start);
}

/** Credentials are temporary; the shortest-lived are good for 15 minutes. */
const FRESH_MS = 5 * 60 * 1000;

/** Finds a thing again when the one found before is some minutes old, or when finding it failed. */
export function keepFresh<T>(find: () => Promise<T>): () => Promise<T> {
  let found: { readonly thing: Promise<T>; readonly at: number } | undefined;
  return async () => {
    if (found === undefined || performance.now() - found.at > FRESH_MS) {
      found = { thing: find(), at: performance.now() };
    }
    try {
      return await found.thing;
    } catch (error) {
      found = undefined;
      throw error;
    }
  };
}
