/**
 * The whole claim, for real: a Debian is sealed, its disk is built, firmware with our keys starts it under Secure Boot,
 * and what is changed or signed by others does not start. Three boots of a minute or two under emulation, and two
 * refusals.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireDebianImage } from "../../scripts/debian-image.ts";
import { scriptCredentials } from "../../src/actions/machine/guest-check.ts";
import { startMachine } from "../../src/actions/machine/start.ts";
import { loadSerial, watchMachine } from "../../src/actions/machine/watch.ts";
import { HOST_LINKS } from "../../src/actions/verify-host/verdict.ts";
import { REPORT_TTY } from "../../src/model/machine/arguments.ts";
import { COMPANION_PROGRAM, writeCompanionDisk } from "../tools/companion-disk.ts";

const program = fileURLToPath(new URL("../../bin/sealwright.cjs", import.meta.url));
const TIMEOUT_MS = 900_000;

let directory: string;
let disk: string;
const path = (name: string): string => join(directory, name);

function sealwright(...args: string[]) {
  const env = { ...process.env, XDG_CACHE_HOME: path("cache"), XDG_STATE_HOME: path("state") };
  return spawnSync(process.execPath, [program, ...args], { encoding: "utf8", env, maxBuffer: 1 << 28 });
}

function required(...args: string[]): void {
  const { status, stderr } = sealwright(...args);
  if (status !== 0) throw new Error(`sealwright ${args.join(" ")}: ${status}\n${stderr}`);
}

beforeAll(async () => {
  const base = await requireDebianImage();
  directory = mkdtempSync(join(tmpdir(), "sealwright-boot-"));
  disk = path("os.qcow2");
  const sealed = `oci:${path("sealed")}:trixie`;
  for (const keys of ["keys", "stranger"]) required("keys", "generate", path(keys));
  required("seal", base, "--to", sealed, "--key", path("keys/db.key"), "--cert", path("keys/db.crt"));
  required("disk", "build", sealed, "-o", disk, "--format", "qcow2");
}, TIMEOUT_MS);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Check {
  readonly name: string;
  readonly status: string;
  readonly code?: string;
  readonly detail: string;
}

const statuses = (checks: readonly Check[]): string[] =>
  checks.map(({ code, detail, name, status }) => (status === "holds" ? `${name} holds` : `${name} ${code}: ${detail}`));

test(
  "a sealed Debian boots under Secure Boot and proves its seal, and what is tampered with does not pass",
  () => {
    const cases = "object,uki-stranger";
    const run = sealwright(
      "vm",
      "test",
      disk,
      "--keys",
      path("keys"),
      "--only",
      cases,
      "--junit",
      path("r.xml"),
      "--json",
    );
    const report = JSON.parse(run.stdout) as { checks: Check[]; tampering: Check[]; holds: boolean };
    expect(statuses(report.checks)).toEqual(
      ["boot", "secure-boot", "command-line", "root", "image", "usr", "state", "event-log", "read"].map(
        (name) => `${name} holds`,
      ),
    );
    expect(statuses(report.tampering)).toEqual(["object holds", "uki-stranger holds"]);
    expect(report.tampering.map(({ detail }) => detail).join("\n")).toMatch(/Input\/output error[^]*Access denied/);
    expect([report.holds, run.status]).toEqual([true, 0]);
    expect(readFileSync(path("r.xml"), "utf8")).toContain(`tests="9" failures="0"`);
    expect(readdirSync(path("state/sealwright/machines"))).toEqual([]);
  },
  TIMEOUT_MS,
);

test(
  "firmware with a stranger's keys does not start it",
  () => {
    const run = sealwright("vm", "test", disk, "--keys", path("stranger"), "--json");
    const { checks, holds } = JSON.parse(run.stdout) as { checks: Check[]; holds: boolean };
    expect([holds, run.status]).toEqual([false, 80]);
    expect(checks.map(({ code }) => code)).toEqual(["machine.refused.boot-loader"]);
  },
  TIMEOUT_MS,
);

test(
  "sealwright verify --host inside the running system follows every link, and finds nothing else",
  async () => {
    const companion = path("companion.img");
    writeCompanionDisk(companion, path("companion"));
    const script = `exec >${REPORT_TTY.x86_64} 2>&1
      mkdir /run/companion && mount -o ro /dev/disk/by-id/virtio-companion /run/companion && cd /run/companion &&
      ./${COMPANION_PROGRAM} verify --host --cert "$CREDENTIALS_DIRECTORY/sealwright.db" --json
      echo "end $?"
      echo o >/proc/sysrq-trigger
      sleep 60`;
    const credentials = scriptCredentials(script, new Map([["sealwright.db", readFileSync(path("keys/db.crt"))]]));
    const places = { state: path("state/sealwright"), config: path("config"), runtime: directory };
    await using machine = await startMachine(disk, {
      places,
      keys: path("keys"),
      snapshot: true,
      network: false,
      report: true,
      moreDisks: [{ path: companion, name: "companion" }],
      credentials,
    });
    const until = async (): Promise<boolean> => /^end \d+\r?$/m.test(await loadSerial(machine.report));
    const outcome = await watchMachine(machine, { until, timeoutMs: TIMEOUT_MS / 2 });
    const said = await loadSerial(machine.report);
    expect([outcome.kind, said.match(/^end (\d+)/m)?.[1]], said).toEqual(["reached", "0"]);
    const { holds, links } = JSON.parse(said.slice(said.indexOf("{\r\n"), said.lastIndexOf("}") + 1)) as {
      holds: boolean;
      links: { name: string; status: string; detail: string }[];
    };
    expect(links.filter(({ status }) => status !== "holds")).toEqual([]);
    expect([holds, new Set(links.map(({ name }) => name))]).toEqual([true, new Set(Object.keys(HOST_LINKS))]);
    expect(links.find(({ name }) => name === "image")?.detail).toMatch(/^the kernel measures sha512 /);
  },
  TIMEOUT_MS,
);
