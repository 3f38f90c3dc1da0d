import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { vector } from "../../../test/fixtures.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { EVENT_TYPES, type HashAlgorithm, parseEventLog, replayEventLog } from "./index.ts";

const bytesOf = (boot: string): Buffer => readFileSync(vector(`secureboot/attest/${boot}/eventlog.bin`));

/** As the booted system read them: `sha256:4=…`. */
const pcrsOf = (boot: string): ReadonlyMap<string, string> =>
  new Map(
    readFileSync(vector(`secureboot/attest/${boot}/pcrs.txt`), "latin1")
      .trim()
      .split("\n")
      .map((line) => line.trim().toLowerCase().split("=") as [string, string]),
  );

/** Registers that firmware, boot loader and stub write to; 10 is IMA's. */
const FIRMWARE_PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14];

describe.each(["a-secureboot-on", "c-secureboot-off", "e-stub-252"])("%s", (boot) => {
  test.each(["sha256", "sha384"] satisfies HashAlgorithm[])(
    "replayEventLog() gives the PCRs of the TPM, %s",
    (bank) => {
      const values = replayEventLog(parseEventLog(bytesOf(boot)), bank);
      const pcrs = pcrsOf(boot);
      const ours = FIRMWARE_PCRS.map((pcr) => `${pcr} ${toHex(values[pcr] ?? new Uint8Array())}`);
      expect(ours).toEqual(FIRMWARE_PCRS.map((pcr) => `${pcr} ${pcrs.get(`${bank}:${pcr}`)}`));
    },
  );
});

test("parseEventLog() names what was booted, in order", () => {
  const manifest = JSON.parse(readFileSync(vector("secureboot/attest/manifest.json"), "utf8"));
  const { algorithms, events } = parseEventLog(bytesOf("a-secureboot-on"));
  expect(algorithms).toEqual(["sha256", "sha384"]);
  const booted = events.filter(({ pcr, typeName }) => pcr === 4 && typeName === "EV_EFI_BOOT_SERVICES_APPLICATION");
  expect(booted).toHaveLength(2);
  expect(toHex(booted[1]?.digests.get("sha384") ?? new Uint8Array())).toBe(
    manifest["a-secureboot-on"].uki.authenticodeSha384,
  );
});

test("data of a Secure Boot variable hashes to its digest", () => {
  const { events } = parseEventLog(bytesOf("a-secureboot-on"));
  const variables = events.filter(({ typeName }) => typeName === "EV_EFI_VARIABLE_DRIVER_CONFIG");
  expect(variables.filter(({ pcr }) => pcr === 7)).toHaveLength(5);
  for (const { data, digests } of variables.filter(({ pcr }) => pcr === 7)) {
    expect(createHash("sha256").update(data).digest("hex")).toBe(toHex(digests.get("sha256") ?? new Uint8Array()));
  }
});

/** Header event of one or more banks, and events behind it. */
function makeLog(banks: readonly (readonly [id: number, size: number])[], ...events: readonly Uint8Array[]): Buffer {
  const spec = Buffer.alloc(16 + 8 + 4 + banks.length * 4 + 1);
  spec.write("Spec ID Event03\0", "latin1");
  spec.writeUInt32LE(banks.length, 24);
  for (const [i, [id, size]] of banks.entries()) {
    spec.writeUInt16LE(id, 28 + i * 4);
    spec.writeUInt16LE(size, 30 + i * 4);
  }
  const header = Buffer.alloc(32);
  header.writeUInt32LE(3, 4);
  header.writeUInt32LE(spec.length, 28);
  return Buffer.concat([header, spec, ...events]);
}

function makeEvent(
  pcr: number,
  type: number,
  digests: readonly (readonly [id: number, digest: Uint8Array])[],
  data = "",
): Buffer {
  const u16 = (value: number): Buffer => Buffer.of(value & 0xff, value >> 8);
  const u32 = (value: number): Buffer => Buffer.concat([u16(value & 0xffff), u16(value >>> 16)]);
  const list = digests.flatMap(([id, digest]) => [u16(id), digest]);
  return Buffer.concat([
    u32(pcr),
    u32(type),
    u32(digests.length),
    ...list,
    u32(data.length),
    Buffer.from(data, "latin1"),
  ]);
}

const SHA256 = [0x000b, 32] as const;
const SHA1 = [0x0004, 20] as const;
const zeros = (size: number): Uint8Array => new Uint8Array(size);

test("replayEventLog() starts PCR 0 with the locality, and PCRs 17 to 22 with all bits set", () => {
  const locality = makeEvent(0, EVENT_TYPES.EV_NO_ACTION, [[0x000b, zeros(32)]], "StartupLocality\0\x03");
  const values = replayEventLog(parseEventLog(makeLog([SHA256], locality)), "sha256").map(toHex);
  expect([values[0], values[1], values[17], values[22], values[23]]).toEqual([
    `${"00".repeat(31)}03`,
    "00".repeat(32),
    "ff".repeat(32),
    "ff".repeat(32),
    "00".repeat(32),
  ]);
});

test("digests come in any order, and banks of other hashes are passed over", () => {
  const digests = [
    [0x0012, zeros(32)],
    [0x0004, zeros(20)],
    [0x000b, zeros(32)],
  ] as const;
  const log = parseEventLog(makeLog([SHA256, SHA1, [0x0012, 32]], makeEvent(4, 4, digests)));
  expect(log.algorithms).toEqual(["sha256", "sha1"]);
  expect([...(log.events[0]?.digests.keys() ?? [])]).toEqual(["sha1", "sha256"]);
  expect(codeOf(() => replayEventLog(log, "sha512"))).toBe("eventlog.no-bank");
});

describe("parseEventLog() refuses", () => {
  const good = makeEvent(4, 4, [[0x000b, zeros(32)]], "\0\0\0\0");

  test.each<[string, string, Uint8Array]>([
    ["no bytes", "eventlog.truncated", zeros(0)],
    ["a log of TPM 1.2", "eventlog.header", makeLog([SHA256]).fill(0x41, 32, 36)],
    [
      "a first event that measures",
      "eventlog.header",
      Buffer.concat([Buffer.of(0, 0, 0, 0, 4), makeLog([SHA256]).subarray(5)]),
    ],
    ["no bank", "eventlog.header", makeLog([])],
    ["a bank twice", "eventlog.header", makeLog([SHA256, SHA256])],
    ["SHA-256 of another size", "eventlog.header", makeLog([[0x000b, 20]])],
    ["an event without a digest", "eventlog.algorithms", makeLog([SHA256], makeEvent(4, 4, []))],
    [
      "a digest twice",
      "eventlog.algorithms",
      makeLog(
        [SHA256, SHA1],
        makeEvent(4, 4, [
          [0x000b, zeros(32)],
          [0x000b, zeros(32)],
        ]),
      ),
    ],
    ["a digest of an unknown bank", "eventlog.algorithms", makeLog([SHA256], makeEvent(4, 4, [[0x000c, zeros(48)]]))],
    ["PCR 24", "eventlog.event", makeLog([SHA256], makeEvent(24, 4, [[0x000b, zeros(32)]]))],
    ["half an event", "eventlog.truncated", makeLog([SHA256], good.subarray(0, -1))],
    [
      "an event of 4 GiB",
      "eventlog.event",
      makeLog([SHA256], Buffer.concat([good.subarray(0, -8), Buffer.alloc(4, 0xff)])),
    ],
    ["more than 16 MiB", "eventlog.too-large", zeros((16 << 20) + 1)],
  ])("%s", (_, code, bytes) => {
    expect(codeOf(() => parseEventLog(bytes))).toBe(code);
  });

  test("nothing with anything but a FormatError", () => {
    const real = bytesOf("a-secureboot-on");
    const change = fc.record({ at: fc.nat(4096), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.nat(real.length), (changes, cut) => {
        const bytes = Uint8Array.from(cut % 2 === 0 ? real.subarray(0, cut) : real);
        for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
        expect(codeOf(() => replayEventLog(parseEventLog(bytes), "sha256"))).toMatch(/^(accepted|eventlog\..*)$/);
      }),
      { numRuns: 400 },
    );
  });
});
