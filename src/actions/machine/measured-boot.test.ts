import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { vector } from "../../../test/fixtures.ts";
import { parseEventLog, replayEventLog } from "../../formats/eventlog/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import type { GuestReport } from "./guest-check.ts";
import { checkMeasurements } from "./measured-boot.ts";
import type { SealedDisk } from "./sealed-disk.ts";

const eventLog = readFileSync(vector("secureboot/attest/a-secureboot-on/eventlog.bin"));
const manifest = JSON.parse(readFileSync(vector("secureboot/attest/manifest.json"), "utf8"));
const booted = parseEventLog(eventLog)
  .events.filter(({ typeName }) => typeName === "EV_EFI_BOOT_SERVICES_APPLICATION")
  .map(({ digests }) => digests.get("sha256") ?? new Uint8Array());
const values = replayEventLog(parseEventLog(eventLog), "sha256");
const pcrs = new Map([4, 7, 11].map((pcr) => [pcr, toHex(values[pcr] ?? new Uint8Array())]));
const uki = { path: "uki", digest: Buffer.from(manifest["a-secureboot-on"].uki.authenticodeSha256, "hex") };
const disk = { bootLoader: { path: "loader", digest: booted[0] }, uki } as unknown as SealedDisk;

const codeWith = (report: Partial<GuestReport>, of: SealedDisk = disk): string | undefined => {
  const [check] = checkMeasurements({ eventLog, pcrs, ...report } as GuestReport, of);
  return check?.status === "holds" ? "holds" : check?.code;
};

test("checkMeasurements() holds for a real boot of these two programs", () => {
  expect(codeWith({})).toBe("holds");
});

test("checkMeasurements() breaks for other programs, another PCR, and a log that is none", () => {
  const stranger = { ...disk, uki: { ...disk.uki, digest: new Uint8Array(32) } };
  expect(codeWith({}, stranger)).toBe("seal.event-log.programs");
  expect(codeWith({ pcrs: new Map([...pcrs, [7, "00".repeat(32)]]) })).toBe("seal.event-log.replay");
  expect(codeWith({ pcrs: new Map() })).toBe("seal.event-log.replay");
  expect(codeWith({ eventLog: eventLog.subarray(0, 5000) })).toMatch(/^(eventlog\.truncated|seal\.event-log\.replay)$/);
});

test("checkMeasurements() says nothing of a machine without a TPM", () => {
  expect(checkMeasurements({ eventLog: undefined, pcrs } as unknown as GuestReport, disk)).toEqual([]);
});
