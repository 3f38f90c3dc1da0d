import { expect, test } from "vitest";
import { keepFresh, runningClock } from "./time.ts";

test("keepFresh() finds once, and again after a failure", async () => {
  let calls = 0;
  const find = keepFresh(async () => {
    calls += 1;
    if (calls === 1) throw new Error("not yet");
    return calls;
  });
  await expect(find()).rejects.toThrow("not yet");
  expect([await find(), await find()]).toEqual([2, 2]);
});

test("runningClock() starts where it is told and does not go back", () => {
  const clock = runningClock(new Date("2026-01-01T00:00:00Z"));
  const [first, second] = [clock().getTime(), clock().getTime()];
  expect(first).toBeGreaterThanOrEqual(Date.parse("2026-01-01T00:00:00Z"));
  expect(second).toBeGreaterThanOrEqual(first);
});
