import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { withOptionRom } from "../../../test/tools/option-rom.ts";
import { readWithUefivars } from "../../../test/tools/uefivars.ts";
import { parseSignatureLists, toSignatureDatabase } from "../../formats/esl/index.ts";
import { listOptionRoms, parseEventLog } from "../../formats/eventlog/index.ts";
import { parseVariableStore } from "../../formats/varstore/index.ts";
import { generateKeys } from "../keys/generate-keys.ts";
import { revokeKeys } from "../keys/revoke-keys.ts";
import { rotateKeys } from "../keys/rotate-keys.ts";
import { type Cloud, enrolCloud } from "./enroll-cloud.ts";
import { type EnrolmentPlace, enrolDirectory } from "./enroll-directory.ts";
import { type EnrolMachineOptions, enrolMachine, updateMachine } from "./enroll-machine.ts";
import { enrolStore } from "./enroll-store.ts";

const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const DATABASE = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
const signing = { now: new Date("2026-06-03T00:00:00Z") };

let place: string;
let keys: string;
let plain: string;
let stranger: string;
let count = 0;
const path = (name: string): string => join(place, name);

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "sealwright-enrol-"));
  [keys, plain, stranger] = [path("keys"), path("plain"), path("stranger")];
  for (const directory of [plain, stranger]) {
    await generateKeys({ directory, now: new Date("2026-01-01T00:00:00Z"), randomBytes });
  }
  cpSync(plain, keys, { recursive: true });
  const at = (day: number) => ({ signing: { now: new Date(`2026-06-0${day}T00:00:00Z`) } });
  await rotateKeys(keys, { name: "db", overlapDays: 1, randomBytes, ...at(1) });
  await revokeKeys(keys, { targets: [createHash("sha256").update("bad").digest("hex")], ...at(2) });
});
afterAll(() => rmSync(place, { recursive: true }));

const subjects = (esl: Uint8Array) =>
  toSignatureDatabase(parseSignatureLists(esl, "list")).certificates.map(({ subject }) => subject);
const read = (...parts: string[]): Buffer => readFileSync(join(...parts));
const BOTH = ["CN=Secure Boot db 2", "CN=Secure Boot db"];

test("enrolStore() enrols both keys of a rotation, and what was revoked behind what the store had", async () => {
  const store = path("vars.fd");
  const unpack = (name: string) =>
    execFileSync("xz", ["-dc", vector(`secureboot/vars/${name}.fd.xz`)], { maxBuffer: 1 << 27 });
  writeFileSync(store, unpack("OVMF_VARS.4m.blank"));
  expect(await enrolStore({ store, keys, dryRun: true })).toMatchObject({ db: BOTH, revoked: 1 });
  expect(read(store).equals(unpack("OVMF_VARS.4m.blank"))).toBe(true);
  for (const _ of [1, 2]) await enrolStore({ store, keys });
  const { variables } = parseVariableStore(read(store));
  const dataOf = (wanted: string) => variables.find(({ name }) => name === wanted)?.data as Uint8Array;
  expect(subjects(dataOf("db"))).toEqual(BOTH);
  expect(Buffer.from(dataOf("dbx")).equals(read(keys, "dbx.esl"))).toBe(true);
});

describe("enrolDirectory()", () => {
  test.each<[EnrolmentPlace, string]>([
    ["esp", "loader/keys/auto"],
    ["image-root", "usr/lib/bootc/install/secureboot-keys/auto"],
    ["plain", ""],
  ])("writes the updates of %s to %s", async (kind, below) => {
    const directory = path(`place-${count++}`);
    mkdirSync(directory);
    expect((await enrolDirectory({ keys, directory, place: kind, dryRun: true, signing })).dryRun).toBe(true);
    expect(readdirSync(directory)).toEqual([]);
    const { updates } = await enrolDirectory({ keys, directory, place: kind, signing });
    expect(updates.map(({ entries, name, signed }) => [name, entries, signed])).toEqual([
      ["db", 2, true],
      ["dbx", 1, true],
      ["KEK", 1, true],
      ["PK", 1, true],
    ]);
    for (const name of ["db", "dbx", "KEK", "PK"]) {
      expect(read(directory, below, `${name}.auth`).equals(read(keys, `${name}.auth`))).toBe(true);
    }
    expect(await codeOfAsync(() => enrolDirectory({ keys, directory, place: kind, signing }))).toBe("output.exists");
  });

  test("signs anew what --microsoft adds, or leaves it unsigned without KEK's key", async () => {
    const run = async (from: string) =>
      (await enrolDirectory({ keys: from, directory: path(`ms-${count++}`), place: "plain", microsoft: true, signing }))
        .updates[0];
    expect(await run(plain)).toMatchObject({ name: "db", signed: true });
    const without = path("without-key");
    cpSync(plain, without, { recursive: true });
    unlinkSync(join(without, "KEK.key"));
    const db = await run(without);
    expect(db).toMatchObject({ name: "db", signed: false });
    const payload = read(db?.path as string).subarray(40);
    expect(subjects(payload).slice(1).join("\n")).toContain("UEFI CA");
  });

  test.each<[string, string, (directory: string) => Promise<unknown>]>([
    [
      "a set with a slash",
      "enrol.set-name",
      (directory) => enrolDirectory({ keys, directory, place: "esp", set: "../x", signing }),
    ],
    [
      "an ESP that is not there",
      "enrol.directory-absent",
      () => enrolDirectory({ keys, directory: path("no"), place: "esp", signing }),
    ],
    [
      "keys without PK.auth",
      "enrol.pk-update-missing",
      (directory) => {
        cpSync(plain, directory, { recursive: true });
        unlinkSync(join(directory, "PK.auth"));
        return enrolDirectory({ keys: directory, directory: path("x"), place: "plain", signing });
      },
    ],
    [
      "a PK.auth of another PK",
      "enrol.pk-update-differs",
      (directory) => {
        cpSync(plain, directory, { recursive: true });
        cpSync(join(stranger, "PK.auth"), join(directory, "PK.auth"));
        return enrolDirectory({ keys: directory, directory: path("x"), place: "plain", signing });
      },
    ],
  ])("refuses %s", async (_, code, work) => {
    expect(await codeOfAsync(() => work(path(`refused-${count++}`)))).toBe(code);
  });
});

/** What a real machine showed, in setup mode or with keys. */
function newMachine(from: "a-secureboot-on" | "c-secureboot-off", setupMode: boolean): string {
  const root = path(`machine-${count++}`);
  const efivars = join(root, "sys/firmware/efi/efivars");
  mkdirSync(efivars, { recursive: true });
  for (const name of readdirSync(vector(`secureboot/attest/${from}/efivars`))) {
    writeFileSync(join(efivars, name), readFileSync(vector(`secureboot/attest/${from}/efivars/${name}`)));
  }
  writeFileSync(join(efivars, `SetupMode-${GLOBAL}`), Buffer.of(6, 0, 0, 0, setupMode ? 1 : 0));
  const tpm = join(root, "sys/kernel/security/tpm0");
  mkdirSync(tpm, { recursive: true });
  const log = readFileSync(vector(`secureboot/attest/${from}/eventlog.bin`));
  writeFileSync(join(tpm, "binary_bios_measurements"), log);
  return root;
}

const written = (root: string, name: string, guid = DATABASE) =>
  read(root, "sys/firmware/efi/efivars", `${name}-${guid}`);
const ROM = createHash("sha256").update("option ROM").digest();

function addOptionRom(root: string): void {
  const file = join(root, "sys/kernel/security/tpm0/binary_bios_measurements");
  const log = readFileSync(file);
  const digests = [...(parseEventLog(log).events[0]?.digests ?? [])].map(([name, digest]): [number, Uint8Array] => {
    const id = { sha1: 4, sha256: 11, sha384: 12, sha512: 13 }[name];
    return [id, name === "sha256" ? ROM : digest];
  });
  writeFileSync(file, withOptionRom(log, new Map(digests)));
}

describe("enrolMachine()", () => {
  const enrol = (root: string, more: Partial<EnrolMachineOptions> = {}) =>
    enrolMachine({ root, keys, signing, ...more });

  test("writes db, dbx, KEK and PK with their attributes, PK last", async () => {
    const root = newMachine("c-secureboot-off", true);
    expect(await enrol(root, { dryRun: true })).toMatchObject({ dryRun: true, db: BOTH });
    expect(existsSync(join(root, "sys/firmware/efi/efivars", `db-${DATABASE}`))).toBe(false);
    const { updates } = await enrol(root);
    expect(updates.map(({ name }) => name)).toEqual(["db", "dbx", "KEK", "PK"]);
    for (const [name, guid] of [
      ["db", DATABASE],
      ["dbx", DATABASE],
      ["KEK", GLOBAL],
      ["PK", GLOBAL],
    ] as const) {
      const expected = Buffer.concat([Buffer.of(0x27, 0, 0, 0), read(keys, `${name}.auth`)]);
      expect([name, written(root, name, guid).equals(expected)]).toEqual([name, true]);
    }
  });

  test("refuses to stop an option ROM, unless it is allowed one way or another", async () => {
    const root = newMachine("c-secureboot-off", true);
    addOptionRom(root);
    expect(
      listOptionRoms(parseEventLog(read(root, "sys/kernel/security/tpm0/binary_bios_measurements"))),
    ).toMatchObject([{ devicePath: "PciRoot(0x0)/Pci(0x2,0x0)" }]);
    expect(await codeOfAsync(() => enrol(root))).toBe("enrol.option-roms");
    expect(await codeOfAsync(() => enrol(root, { force: true, dryRun: true }))).toBe("accepted");
    expect((await enrol(root, { microsoft: true, dryRun: true })).db.join("\n")).toContain("UEFI CA");
    await enrol(root, { allowOptionRoms: true });
    const db = written(root, "db");
    expect(db.includes(ROM)).toBe(true);
  });

  test.each<[string, string, () => string]>([
    ["a machine that has keys", "enrol.not-setup-mode", () => newMachine("a-secureboot-on", false)],
    [
      "a machine without UEFI",
      "enrol.no-efi-variables",
      () => {
        const root = newMachine("c-secureboot-off", true);
        rmSync(join(root, "sys/firmware"), { recursive: true });
        return root;
      },
    ],
    [
      "a machine without event log",
      "enrol.option-roms-unknown",
      () => {
        const root = newMachine("c-secureboot-off", true);
        rmSync(join(root, "sys/kernel"), { recursive: true });
        return root;
      },
    ],
  ])("refuses %s", async (_, code, make) => {
    const root = make();
    expect(await codeOfAsync(() => enrol(root))).toBe(code);
  });
});

describe("updateMachine()", () => {
  /** A machine whose firmware has the keys from before the rotation. */
  function newOwned(): string {
    const root = newMachine("a-secureboot-on", false);
    for (const [name, guid] of [
      ["PK", GLOBAL],
      ["KEK", GLOBAL],
      ["db", DATABASE],
    ] as const) {
      const content = Buffer.concat([Buffer.of(0x27, 0, 0, 0), read(plain, `${name}.esl`)]);
      writeFileSync(join(root, "sys/firmware/efi/efivars", `${name}-${guid}`), content);
    }
    return root;
  }

  test("writes appends and replacements that this firmware will accept", async () => {
    const root = newOwned();
    const files = [join(keys, "db-append.auth"), join(keys, "dbx-append.auth")];
    expect((await updateMachine({ root, files })).updates.map(({ name, entries }) => [name, entries])).toEqual([
      ["db", 1],
      ["dbx", 1],
    ]);
    expect(written(root, "db").subarray(0, 4)).toEqual(Buffer.of(0x67, 0, 0, 0));
    await updateMachine({ root, files: [join(keys, "db.auth")] });
    expect(written(root, "db").subarray(0, 4)).toEqual(Buffer.of(0x27, 0, 0, 0));
  });

  test.each<[string, string, () => string]>([
    ["a file of another name", "enrol.update-name", () => join(keys, "db.esl")],
    ["an update of a stranger's KEK", "efivars.signature.untrusted", () => join(stranger, "db.auth")],
    [
      "an append under the name of a replacement",
      "cms.signature.invalid",
      () => {
        mkdirSync(path("renamed"), { recursive: true });
        cpSync(join(keys, "db-append.auth"), path("renamed/db.auth"));
        return path("renamed/db.auth");
      },
    ],
  ])("refuses %s", async (_, code, file) => {
    const root = newOwned();
    expect(await codeOfAsync(async () => updateMachine({ root, files: [file()] }))).toBe(code);
  });
});

describe("enrolCloud()", () => {
  const enrol = (cloud: Cloud, output: string) => enrolCloud({ cloud, keys, output });

  test("gives EC2 what python-uefivars reads, with the lists that efitools made", async () => {
    await enrol("aws", path("aws"));
    const found = await readWithUefivars(path("aws"));
    expect(found.map(({ attributes, name }) => [name, attributes])).toEqual(
      ["PK", "KEK", "db", "dbx"].map((name) => [name, 0x27]),
    );
    for (const { data, name } of found) expect([name, data]).toEqual([name, read(keys, `${name}.esl`).toString("hex")]);
  });

  test("gives Azure certificates and digests by type, which openssl reads", async () => {
    const { notes } = await enrol("azure", path("azure.json"));
    const { securityProfile } = JSON.parse(read(path("azure.json")).toString()) as {
      securityProfile: { uefiSettings: { additionalSignatures: Record<string, { type: string; value: string[] }[]> } };
    };
    const { db, dbx, kek, pk } = securityProfile.uefiSettings.additionalSignatures;
    expect([pk, kek, db, dbx].map((each) => [each].flat().map((key) => [key?.type, key?.value.length]))).toEqual([
      [["x509", 1]],
      [["x509", 1]],
      [["x509", 2]],
      [["sha256", 1]],
    ]);
    const der = Buffer.from(db?.[0]?.value[0] as string, "base64");
    expect(
      execFileSync("openssl", ["x509", "-inform", "DER", "-noout", "-subject"], { input: der }).toString(),
    ).toContain("db 2");
    expect(notes.join("\n")).toContain("not tried in Azure");
  });

  test("gives Google Cloud one DER file a certificate, and the same for its API", async () => {
    const { commands, files } = await enrol("gcp", path("gcp"));
    expect(files.map((file) => file.path.slice(path("gcp").length + 1))).toEqual([
      "PK.der",
      "KEK.der",
      "db.der",
      "db-2.der",
      "dbx.bin",
      "initial-state.json",
    ]);
    const subject = (name: string) =>
      execFileSync("openssl", ["x509", "-inform", "DER", "-noout", "-subject", "-in", path(`gcp/${name}`)]).toString();
    expect(["db.der", "db-2.der"].map(subject).join("")).toMatch(/db 2\n.*db\n/);
    expect(commands[0]).toContain(`--signature-database-file=${path("gcp/db.der")},${path("gcp/db-2.der")}`);
    const state = JSON.parse(read(path("gcp/initial-state.json")).toString()) as Record<string, unknown>;
    expect(state).toMatchObject({ pk: { fileType: "X509" }, dbs: [{}, {}], dbxs: [{ fileType: "BIN" }] });
  });

  test("writes nothing over a file that is there", async () => {
    writeFileSync(path("there"), "");
    expect(await codeOfAsync(() => enrol("aws", path("there")))).toBe("output.exists");
  });
});
