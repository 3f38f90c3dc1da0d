/**
 * How likely a component is to change from one build to the next.
 *
 * One image alone tells apart what the build itself made, which is as new as the image, and what came as it was; the one
 * changes nearly always, the other about once in twenty builds. It is tempting to read more from ages. But a component
 * that has just been updated is young: it would move to other company, and take the layers that it leaves and enters
 * along with it.
 *
 * A component may know better, by its `user.update-interval`. Builds before this one are evidence that outweighs both:
 * each step in which it changed or stayed counts as much as the first guess.
 */
import { createHash } from "node:crypto";
import { toHex } from "../../lib/bytes/numbers.ts";
import type { Content } from "../tree/tree.ts";
import type { Component } from "./components.ts";
import { encodePlacedEntry } from "./layer-tar.ts";

/** Days between two builds. */
const STEP_DAYS = 7;

/** Chances of what the build made, and of everything else. */
const GUESS = { made: 0.9, brought: 0.05 } as const;

/** Files that are at most so much older than the newest are of the same build. */
const BUILD_SECONDS = 86_400n;

/** Nothing is certain, or every layer with it would be lost whatever else is in it. */
const CERTAIN = 0.98;

/** What each component was in a build, by name: equal digests are equal bytes in a layer. */
export type Signatures = ReadonlyMap<string, string>;

export function signComponents(components: readonly Component[]): Signatures {
  return new Map(components.map((component) => [component.name, signatureOf(component)]));
}

function signatureOf({ entries }: Component): string {
  const hash = createHash("sha256");
  for (const entry of entries) {
    hash.update(encodePlacedEntry(entry));
    if (entry.node.kind === "file" && entry.linkTo === undefined) hash.update(identityOf(entry.node.content));
  }
  return hash.digest("hex");
}

/** Of the bytes, not of where they are. */
function identityOf(content: Content): Uint8Array | string {
  if (content.kind === "inline") return content.bytes;
  if (content.kind !== "external") return content.kind;
  return Object.entries(content.digests)
    .map(([algorithm, digest]) => `${algorithm}:${toHex(digest)}`)
    .sort()
    .join();
}

/**
 * The probability of each component to be another in the next build, by name.
 *
 * @param builds signatures of this build and of those before it, newest first
 */
export function estimateChanges(
  components: readonly Component[],
  builds: readonly Signatures[],
): ReadonlyMap<string, number> {
  const newest = components.reduce((max, component) => (component.newest > max ? component.newest : max), 0n);
  return new Map(
    components.map((component) => {
      const guess = guessOf(component, newest);
      const { changes, steps } = countChanges(component.name, builds);
      return [component.name, Math.min(CERTAIN, (guess + changes) / (1 + steps))];
    }),
  );
}

function guessOf({ intervalDays, newest }: Component, newestOfAll: bigint): number {
  if (intervalDays !== undefined) return 1 - Math.exp(-STEP_DAYS / intervalDays);
  return newestOfAll - newest <= BUILD_SECONDS ? GUESS.made : GUESS.brought;
}

/** Steps before a component was there say nothing of it. */
function countChanges(name: string, builds: readonly Signatures[]): { changes: number; steps: number } {
  const signatures = builds.map((build) => build.get(name));
  let [changes, steps] = [0, 0];
  for (let step = 1; step < signatures.length; step++) {
    const [after, before] = [signatures[step - 1], signatures[step]];
    if (before === undefined && signatures.slice(step).every((one) => one === undefined)) break;
    steps++;
    if (before !== after) changes++;
  }
  return { changes, steps };
}
