import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { vector } from "../../../test/fixtures.ts";
import { measured, writeHost } from "../../../test/tools/host-tree.ts";
import { withOptionRom } from "../../../test/tools/option-rom.ts";
import { makeSealedDisk, NOW, type SealedDisk } from "../../../test/tools/sealed-disk.ts";
import { stubPath } from "../../../test/tools/ukify.ts";
import { computeAuthenticodeDigest } from "../../formats/authenticode/index.ts";
import { type PreflightReport, preflight } from "./preflight.ts";
import { checkPreflight } from "./preflight-checks.ts";

const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const EFIVARS = "sys/firmware/efi/efivars";
const LOG = "sys/kernel/security/tpm0/binary_bios_measurements";

let place: string;
let disk: SealedDisk;
let host: string;
let count = 0;
const path = (name: string): string => join(place, name);

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "sealwright-preflight-"));
  disk = await makeSealedDisk(place);
  host = path("host");
  const loader = join(dirname(await stubPath("262-x64", "linux")), "systemd-bootx64.efi");
  const programs = [readFileSync(loader), await disk.buildUki(`rw quiet composefs=${disk.id}`)];
  writeHost(host, place, disk, measured(programs.map((pe) => computeAuthenticodeDigest(pe))));
}, 120_000);
afterAll(() => rmSync(place, { recursive: true, force: true }));

const look = (root: string, keys?: string, microsoft = false) =>
  preflight({ root, now: NOW, microsoft, ...(keys === undefined ? {} : { keys: path(keys) }) });
const codes = ({ problems }: PreflightReport) => problems.map(({ code }) => code);

/** A machine of the fixtures: its variables and its event log, and nothing else. */
function newMachine(from: "a-secureboot-on" | "c-secureboot-off"): string {
  const root = path(`machine-${count++}`);
  mkdirSync(join(root, EFIVARS), { recursive: true });
  mkdirSync(join(root, "proc/self"), { recursive: true });
  mkdirSync(join(root, "sys/kernel/security/tpm0"), { recursive: true });
  for (const name of readdirSync(vector(`secureboot/attest/${from}/efivars`))) {
    cpSync(vector(`secureboot/attest/${from}/efivars/${name}`), join(root, EFIVARS, name));
  }
  writeFileSync(join(root, "proc/self/mountinfo"), "");
  writeFileSync(join(root, LOG), readFileSync(vector(`secureboot/attest/${from}/eventlog.bin`)));
  return root;
}

test("preflight() finds a machine that has the keys, and what it started, sound", async () => {
  const report = await look(host, "keys");
  expect(report).toMatchObject({
    firmware: { secureBoot: true, setupMode: false },
    tpm: { eventLog: true },
    own: { PK: true, KEK: true, db: true },
    databases: { db: { certificates: [{ subject: "CN=Secure Boot db", whose: "own", expired: false }] } },
    ready: true,
  });
  expect(report.started.map(({ afterwards }) => afterwards)).toEqual(["starts", "starts"]);
  expect(report.started.map((one) => one.path)).toEqual(
    ["EFI/BOOT/BOOTX64.EFI", disk.uki].map(() => expect.any(String)),
  );
});

test("preflight() finds that the machine would not start with a stranger's keys", async () => {
  const report = await look(host, "stranger");
  expect(report.ready).toBe(false);
  expect(codes(report)).toEqual(["preflight.not-setup-mode", "preflight.boot-chain"]);
  expect(report.started.map(({ afterwards, code }) => [afterwards, code])).toEqual([
    ["stops", "pe.signature.untrusted"],
    ["stops", "pe.signature.untrusted"],
  ]);
});

test("preflight() reads the keys of a real machine, without keys of one's own", async () => {
  const report = await look(newMachine("a-secureboot-on"));
  expect(Object.keys(report.databases)).toEqual(["PK", "KEK", "db", "dbx"]);
  expect(report.databases.db?.certificates).toMatchObject([{ subject: "CN=test db", whose: "other" }]);
  expect(report.databases.dbx).toMatchObject({ hashes: 1 });
  expect(report.started.map(({ afterwards }) => afterwards)).toEqual(["unknown", "unknown"]);
  expect(codes(report)).toEqual(["preflight.not-setup-mode"]);
});

test("preflight() says of a machine in setup mode that programs away from the ESP are not judged", async () => {
  const root = newMachine("c-secureboot-off");
  writeFileSync(join(root, EFIVARS, `SetupMode-${GLOBAL}`), Buffer.of(6, 0, 0, 0, 1));
  const report = await look(root, "keys");
  expect([report.ready, codes(report)]).toEqual([true, ["preflight.program-unknown"]]);
});

test("preflight() finds option ROMs, which Microsoft's certificates allow", async () => {
  const root = newMachine("c-secureboot-off");
  writeFileSync(join(root, EFIVARS, `SetupMode-${GLOBAL}`), Buffer.of(6, 0, 0, 0, 1));
  const log = readFileSync(join(root, LOG));
  const banks = new Map([
    [11, Buffer.alloc(32, 1)],
    [12, Buffer.alloc(48, 1)],
  ]);
  writeFileSync(join(root, LOG), withOptionRom(log, banks));
  const report = await look(root, "keys");
  expect(report.optionRoms).toEqual([{ devicePath: "PciRoot(0x0)/Pci(0x2,0x0)", sha256: "01".repeat(32) }]);
  expect(codes(report)).toContain("preflight.option-roms");
  expect(codes(await look(root, "keys", true))).not.toContain("preflight.option-roms");
});

describe("checkPreflight() finds", () => {
  type Facts = Parameters<typeof checkPreflight>[0];
  const certificate = (subject: string, more: object = {}) => ({
    subject,
    fingerprint: "",
    notAfter: "2040-01-01",
    expired: false,
    whose: "other" as const,
    ...more,
  });
  const firmware = {
    hasVariables: true,
    secureBoot: true,
    setupMode: true,
    auditMode: false,
    deployedMode: false,
    shimValidationOff: false,
  };
  const good: Facts = {
    firmware,
    tpm: { present: true, eventLog: true },
    databases: {},
    optionRoms: [],
    started: [],
  };
  const owned = { PK: true, KEK: true, db: true };
  test.each<[string, Partial<Facts>]>([
    ["preflight.no-uefi", { firmware: { ...firmware, hasVariables: false } }],
    ["preflight.no-room", { freeSpace: 100, neededSpace: 101 }],
    ["preflight.secure-boot-off", { own: owned, firmware: { ...firmware, secureBoot: false } }],
    ["preflight.shim-validation-off", { firmware: { ...firmware, shimValidationOff: true } }],
    ["preflight.no-event-log", { tpm: { present: false, eventLog: false } }],
    [
      "preflight.certificate-expired",
      { databases: { db: { hashes: 0, certificates: [certificate("CN=old", { expired: true })] } } },
    ],
    [
      "preflight.microsoft-2023-missing",
      {
        databases: {
          db: { hashes: 0, certificates: [certificate("CN=x", { known: "Microsoft Corporation UEFI CA 2011" })] },
        },
      },
    ],
    [
      "preflight.foreign-kek",
      { own: owned, databases: { KEK: { hashes: 0, certificates: [certificate("CN=vendor")] } } },
    ],
  ])("%s", (code, facts) => {
    expect(checkPreflight({ ...good, ...facts }, { microsoft: false }).map((problem) => problem.code)).toEqual([code]);
  });

  test("nothing on a machine in setup mode with a TPM", () => {
    expect(checkPreflight(good, { microsoft: false })).toEqual([]);
  });
});
