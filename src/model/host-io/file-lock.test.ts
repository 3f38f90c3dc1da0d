import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { openFileLock } from "./file-lock.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-lock-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test("openFileLock() has one holder at a time, and the next one when it is released", async () => {
  const path = join(directory, "one.lock");
  const lock = await openFileLock(path);
  expect(await codeOfAsync(() => openFileLock(path, { timeoutMs: 0 }))).toBe("lock.busy");
  const next = openFileLock(path);
  lock[Symbol.dispose]();
  (await next)[Symbol.dispose]();
});

test("openFileLock() is free again when its holder was killed", async () => {
  const path = join(directory, "killed.lock");
  const script = `
    const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(${JSON.stringify(path)});
    database.exec("BEGIN IMMEDIATE");
    process.stdout.write("held");
    setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => holder.stdout.once("data", resolve));
  expect(await codeOfAsync(() => openFileLock(path, { timeoutMs: 0 }))).toBe("lock.busy");
  const ended = new Promise((resolve) => holder.once("close", resolve));
  holder.kill("SIGKILL");
  await ended;
  (await openFileLock(path, { timeoutMs: 0 }))[Symbol.dispose]();
});

test("openFileLock() refuses a place that it cannot use, and stops when it is interrupted", async () => {
  expect(await codeOfAsync(() => openFileLock(join(directory, "no/such/place")))).toBe("lock.unusable");
  const path = join(directory, "interrupted.lock");
  using _held = await openFileLock(path);
  const controller = new AbortController();
  const waiting = codeOfAsync(() => openFileLock(path, { signal: controller.signal }));
  controller.abort();
  expect(await waiting).toBe("interrupted");
});
