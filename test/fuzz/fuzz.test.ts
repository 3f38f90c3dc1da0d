import { expect, test } from "vitest";
import { generator } from "../random.ts";
import { mutate } from "./mutate.ts";
import { FUZZ_TARGETS, type FuzzTarget, isRefusal } from "./targets.ts";

/** Inputs a target; fewer when they are large. A long run is `npm run fuzz`. */
const RUNS = 1500;
const BUDGET_MS = 800;
/** No input may take longer, on a slow and busy machine. */
const INPUT_MS = 2000;

/** What a parser throws that is no refusal, with the input it happens with. */
function failureOf(target: FuzzTarget, bytes: Uint8Array): string | undefined {
  const start = performance.now();
  try {
    target.run(bytes);
  } catch (error) {
    if (!isRefusal(error)) return `${String((error as Error).stack)}\n${Buffer.from(bytes).toString("base64")}`;
  }
  const took = performance.now() - start;
  return took > INPUT_MS ? `took ${took} ms\n${Buffer.from(bytes).toString("base64")}` : undefined;
}

test.each(FUZZ_TARGETS)("$name: what is mutated is read or refused", async (target) => {
  const corpus = await target.corpus();
  expect(corpus.length).toBeGreaterThan(0);
  const accepted = corpus.map((bytes) => failureOf(target, bytes)).filter((failure) => failure !== undefined);
  expect(accepted).toEqual([]);
  const random = generator(1);
  const start = performance.now();
  for (let run = 0; run < RUNS && performance.now() - start < BUDGET_MS; run++) {
    expect(failureOf(target, mutate(random, corpus))).toBeUndefined();
  }
});
