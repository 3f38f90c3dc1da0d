import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { SharedSlots } from "./shared-slots.ts";
import { WorkerPool } from "./worker-pool.ts";
import { workerUrl } from "./worker-url.ts";

const program = workerUrl("../../../test/test-worker", import.meta.url);

test("run() resolves each job with its own answer", async () => {
  await using pool = new WorkerPool(program, 2);
  const texts = Array.from({ length: 50 }, (_, index) => `${index}`);
  expect(await Promise.all(texts.map((text) => pool.run({ kind: "echo", text })))).toEqual(texts);
});

test("run() rejects with what the program threw, and the worker goes on", async () => {
  await using pool = new WorkerPool(program, 1);
  await expect(pool.run({ kind: "throw", text: "luck" })).rejects.toMatchObject({
    name: "WorkerJobError",
    message: "no luck",
    code: "ENOENT",
  });
  expect(await pool.run({ kind: "echo", text: "still here" })).toBe("still here");
});

test("run() with a lane stays in one worker, in order", async () => {
  await using pool = new WorkerPool(program, 2);
  const lane = pool.pickLane();
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => pool.run<{ thread: number; calls: number }>({ kind: "thread" }, lane)),
  );
  expect(new Set(answers.map(({ thread }) => thread)).size).toBe(1);
  expect(answers.map(({ calls }) => calls)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(pool.pickLane()).not.toBe(lane);
});

test("run() without a lane uses all workers", async () => {
  await using pool = new WorkerPool(program, 2);
  const answers = await Promise.all(Array.from({ length: 20 }, () => pool.run<{ thread: number }>({ kind: "thread" })));
  expect(new Set(answers.map(({ thread }) => thread)).size).toBe(2);
});

test("disposing rejects what is open, and what comes after", async () => {
  const pool = new WorkerPool(program, 1);
  const open = ["sleep", "sleep", "sleep"].map((kind) => pool.run({ kind }));
  const outcomes = Promise.allSettled(open);
  await pool[Symbol.asyncDispose]();
  expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  await expect(pool.run({ kind: "echo" })).rejects.toMatchObject({ code: "interrupted" });
});

test("run() rejects when the worker dies, instead of waiting for ever", async () => {
  await using pool = new WorkerPool(program, 1);
  await expect(pool.run({ kind: "die" })).rejects.toThrow(/worker stopped/);
});

test("an idle pool does not keep the process alive, and a busy one does", () => {
  const script = `
    import { WorkerPool } from ${JSON.stringify(new URL("./worker-pool.ts", import.meta.url).href)};
    const pool = new WorkerPool(new URL(${JSON.stringify(program.href)}), 2);
    pool.run({ kind: "sleep" }).then(() => console.log("done"));`;
  const out = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    timeout: 20_000,
  });
  expect(out).toBe("done\n");
});

test("workerUrl() has the extension of the module that asks", () => {
  expect(workerUrl("./w", "file:///src/a.ts").href).toBe("file:///src/w.ts");
  expect(workerUrl("./w", "file:///dist/a.js").href).toBe("file:///dist/w.js");
});

test("SharedSlots gives out no more than its count, and hands on what is given back", async () => {
  const slots = new SharedSlots(2, 10);
  const first = await slots.acquire();
  const second = await slots.acquire();
  expect(second).not.toBe(first);
  let third: unknown;
  const waiting = Promise.resolve(slots.acquire()).then((slot) => (third = slot));
  await Promise.resolve();
  expect(third).toBeUndefined();
  slots.release(first);
  await waiting;
  expect(third).toBe(first);
});
