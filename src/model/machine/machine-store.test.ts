import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { codeOf, codeOfAsync } from "../../../test/code-of.ts";
import { selfIdentity } from "../host-io/process.ts";
import {
  claimFreshMachine,
  claimMachine,
  listMachines,
  releaseMachine,
  requireMachine,
  requireName,
} from "./machine-store.ts";

let base: string;
beforeEach(() => void (base = mkdtempSync(join(tmpdir(), "sealwright-machines-"))));
afterEach(() => rmSync(base, { recursive: true }));

test("a name is one machine's while its owner lives", async () => {
  const self = await selfIdentity();
  const directory = await claimMachine(base, "web", self);
  expect(await codeOfAsync(() => claimMachine(base, "web", self))).toBe("machine.running");
  expect(await listMachines(base)).toMatchObject([{ name: "web", running: true, record: undefined }]);
  await releaseMachine(directory);
  expect(await listMachines(base)).toMatchObject([{ name: "web", running: false }]);
  expect(await claimMachine(base, "web", self)).toBe(directory);
});

test("the name of an owner that was killed can be taken again", async () => {
  const self = await selfIdentity();
  await claimMachine(base, "web", { pid: self.pid, startTime: "1" });
  expect(await claimMachine(base, "web", self)).toBe(join(base, "web"));
});

test("machines that start at once get names of their own", async () => {
  const self = await selfIdentity();
  const claimed = await Promise.all(Array.from({ length: 8 }, () => claimFreshMachine(base, "disk", self)));
  expect(new Set(claimed.map(({ name }) => name)).size).toBe(8);
});

test("names are no paths", async () => {
  for (const name of ["", "..", "a/b", "-x", "a b", "x".repeat(64)]) {
    expect(codeOf(() => requireName(name))).toBe("machine.name");
  }
  expect(await codeOfAsync(() => requireMachine(base, "absent"))).toBe("machine.not-found");
});
