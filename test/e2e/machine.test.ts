/** Virtual machines as processes: what is started, what is left. Their firmware finds nothing to boot, which is quick. */
import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { encodeGpt, PARTITION_TYPES } from "../../src/formats/gpt/index.ts";

const program = fileURLToPath(new URL("../../bin/sealwright.cjs", import.meta.url));
const SIZE = 16 << 20;

let directory: string;
let env: NodeJS.ProcessEnv;
const path = (name: string): string => join(directory, name);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-vm-"));
  mkdirSync(path("run"));
  env = { ...process.env, XDG_STATE_HOME: path("state"), XDG_RUNTIME_DIR: path("run") };
  for (const name of ["one.raw", "two.raw", "three.raw"]) writeEmptyDisk(path(name));
  sealwright("keys", "generate", path("keys"));
});

afterEach(() => {
  for (const name of machines()) sealwright("vm", "rm", name, "--force");
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A partition table, and nothing in the partition. */
function writeEmptyDisk(file: string): void {
  const disk = Buffer.alloc(SIZE);
  const guid = (last: number): Uint8Array => new Uint8Array(16).fill(1).fill(last, 15);
  const esp = {
    typeGuid: PARTITION_TYPES.esp,
    uniqueGuid: guid(2),
    firstLba: 2048,
    lastLba: 8191,
    attributes: 0n,
    name: "",
  };
  for (const { bytes, offset } of encodeGpt(SIZE, { diskGuid: guid(3), partitions: [esp] })) disk.set(bytes, offset);
  writeFileSync(file, disk);
}

function sealwright(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [program, ...args], { encoding: "utf8", env });
}

const machines = (): string[] => {
  const place = path("state/sealwright/machines");
  return existsSync(place) ? readdirSync(place) : [];
};

/** Processes that have a file of this test on their command line. */
function processes(): string[] {
  const list = execFileSync("ps", ["-eo", "args"], { encoding: "utf8", maxBuffer: 1 << 24 }).split("\n");
  return list.filter((line) => /^(?:\S*\/)?(?:qemu-system|swtpm)/.test(line) && line.includes(directory));
}

/** Time for the kernel to end what a killed process leaves. */
async function untilNoProcess(): Promise<void> {
  for (let waited = 0; waited < 10_000 && processes().length > 0; waited += 100) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(processes()).toEqual([]);
}

async function untilRunning(disk: string): Promise<void> {
  const isRunning = (): boolean =>
    processes().some((line) => line.includes("qemu-system") && line.includes(path(disk)));
  for (let waited = 0; waited < 60_000 && !isRunning(); waited += 100) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(isRunning()).toBe(true);
}

/** Until QEMU has answered, and its sockets are on record. */
async function untilListed(name: string): Promise<void> {
  const record = path(`state/sealwright/machines/${name}/machine.json`);
  for (let waited = 0; waited < 30_000 && !existsSync(record); waited += 100) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A machine of the smallest size, under emulation. */
function run(disk: string, ...more: string[]): string[] {
  const keys = ["--keys", path("keys")];
  return ["vm", "run", path(disk), ...keys, "--emulate", "--memory", "256", "--cpus", "1", ...more];
}

test("a boot that ends in the firmware is told as such, and nothing is left of it", () => {
  const { status, stderr } = sealwright(...run("one.raw"));
  expect(stderr).toContain("cause: machine.no-boot-loader");
  expect(stderr).toContain("software emulation");
  expect(status).toBe(80);
  expect([processes(), machines(), readdirSync(path("run"))]).toEqual([[], [], []]);
}, 120_000);

test("detached machines live side by side, each with its own name, port and store, until they are stopped", () => {
  for (const [name, disk] of [
    ["first", "one.raw"],
    ["second", "two.raw"],
  ] as const) {
    expect(sealwright(...run(disk, "--name", name, "--detach")).status).toBe(0);
  }
  const list = JSON.parse(sealwright("vm", "list", "--json").stdout) as {
    name: string;
    running: boolean;
    sshPort: number;
  }[];
  expect(list.map(({ name, running: isRunning }) => [name, isRunning])).toEqual([
    ["first", true],
    ["second", true],
  ]);
  expect(new Set(list.map(({ sshPort }) => sshPort)).size).toBe(2);

  const same = sealwright(...run("two.raw", "--name", "first"));
  expect(same.stderr).toContain("cause: machine.running");
  const locked = sealwright(...run("two.raw"));
  expect(locked.stderr).toContain("cause: machine.qemu-ended");
  expect(locked.stderr).toContain("hint: the disk is in use");
  expect(machines()).toEqual(["first", "second"]);

  expect(sealwright("vm", "rm", "first").stderr).toContain("cause: machine.running");
  expect(sealwright("vm", "stop", "first", "--force").status).toBe(0);
  expect(sealwright("vm", "stop", "first", "--force").stderr).toContain("cause: machine.not-running");
  expect(sealwright("vm", "rm", "second", "--force").status).toBe(0);
  expect([processes(), machines(), readdirSync(path("run"))]).toEqual([[], ["first"], []]);
  // The variable store, with the keys in it, is kept with the name.
  expect(readFileSync(path("state/sealwright/machines/first/vars.fd")).includes("Secure Boot db")).toBe(true);
}, 120_000);

test("a port that is in use is told as such", () => {
  expect(sealwright(...run("one.raw", "--name", "web", "--detach", "-p", "18787:80")).status).toBe(0);
  const second = sealwright(...run("two.raw", "-p", "18787:80"));
  expect(second.stderr).toContain("cause: machine.qemu-ended");
  expect(second.stderr).toContain("hint: the port is in use");
  expect(sealwright("vm", "rm", "web", "--force").status).toBe(0);
  expect([processes(), machines(), readdirSync(path("run"))]).toEqual([[], [], []]);
}, 120_000);

test("a machine that does not end in time ends with the last lines of its console, and leaves nothing", () => {
  const { status, stderr } = sealwright(...run("one.raw", "--timeout", "0"));
  expect(stderr).toContain("cause: machine.timeout");
  expect(stderr).toContain("the guest still runs (time is over); its console ends with:");
  expect(status).toBe(74);
  expect([processes(), machines(), readdirSync(path("run"))]).toEqual([[], [], []]);
}, 120_000);

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s ends the machine with the command, and leaves nothing",
  async (signal) => {
    const child = spawn(process.execPath, [program, ...run("three.raw")], { env, stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await untilRunning("three.raw");
    child.kill(signal);
    expect(await ended).toBe(130);
    await untilNoProcess();
    expect([machines(), readdirSync(path("run"))]).toEqual([[], []]);
  },
  120_000,
);

test("a command that is killed takes its machine with it, and the name is free again", async () => {
  const child = spawn(process.execPath, [program, ...run("three.raw", "--name", "crashed")], { env, stdio: "ignore" });
  await untilRunning("three.raw");
  await untilListed("crashed");
  child.kill("SIGKILL");
  await untilNoProcess();
  const list = JSON.parse(sealwright("vm", "list", "--json").stdout) as { name: string; running: boolean }[];
  expect(list.find(({ name }) => name === "crashed")).toMatchObject({ running: false });
  expect(sealwright(...run("three.raw", "--name", "crashed")).stderr).toContain("cause: machine.no-boot-loader");
  expect(sealwright("vm", "rm", "crashed").status).toBe(0);
  expect(readdirSync(path("run"))).toEqual([]);
}, 120_000);

/** Attributes of elements by path, as Python's XML parser reads them. */
const ATTRIBUTES = `
import json, sys, xml.etree.ElementTree as tree
domain = tree.fromstring(sys.stdin.read())
print(json.dumps([domain.find(path).get(name) for path, name in json.loads(sys.argv[1])]))
`;

test("--libvirt-xml prints the same machine as a domain", () => {
  const { status, stdout } = sealwright(...run("one.raw", "--libvirt-xml", "--store", path("a<b&c.fd")));
  expect(status).toBe(0);
  const asked = [
    ["os/loader", "secure"],
    ["features/smm", "state"],
    ["os/nvram", "template"],
    ["devices/disk/source", "file"],
  ];
  const argv = ["-c", ATTRIBUTES, JSON.stringify(asked)];
  expect(JSON.parse(execFileSync("python3", argv, { input: stdout, encoding: "utf8" }))).toEqual([
    "yes",
    "on",
    path("a<b&c.fd"),
    path("one.raw"),
  ]);
});
