import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { descriptorDirectories, findFirmware } from "./firmware.ts";

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "sealwright-firmware-"))));
afterEach(() => rmSync(directory, { recursive: true }));

const high = (): string => join(directory, "high");
const low = (): string => join(directory, "low");

/** A descriptor of firmware that is there. */
function describeFirmware(place: string, file: string, name: string, features: readonly string[]): void {
  mkdirSync(place, { recursive: true });
  const [code, vars] = [join(directory, `${name}.code`), join(directory, `${name}.vars`)];
  for (const path of [code, vars]) writeFileSync(path, "");
  const descriptor = {
    "interface-types": ["uefi"],
    mapping: { device: "flash", executable: { filename: code }, "nvram-template": { filename: vars, format: "raw" } },
    targets: [{ architecture: "x86_64", machines: ["pc-q35-*"] }],
    features,
  };
  writeFileSync(join(place, file), JSON.stringify(descriptor));
}

const found = async (): Promise<string> =>
  (await findFirmware("x86_64", [high(), low()])).code.replace(`${directory}/`, "");

test("findFirmware() takes what enforces Secure Boot and has no keys of others", async () => {
  describeFirmware(low(), "10.json", "enrolled", ["secure-boot", "requires-smm", "enrolled-keys"]);
  describeFirmware(low(), "20.json", "plain", []);
  describeFirmware(low(), "30.json", "secure", ["secure-boot", "requires-smm"]);
  expect(await found()).toBe("secure.code");
  describeFirmware(high(), "25.json", "mine", ["secure-boot"]);
  expect(await findFirmware("x86_64", [high(), low()])).toMatchObject({ requiresSmm: false, codeFormat: "raw" });
});

test("findFirmware() lets a user's file hide the system's of the same name", async () => {
  describeFirmware(low(), "30.json", "secure", ["secure-boot"]);
  describeFirmware(low(), "40.json", "second", ["secure-boot"]);
  mkdirSync(high());
  writeFileSync(join(high(), "30.json"), "");
  expect(await found()).toBe("second.code");
});

test("findFirmware() refuses a descriptor it cannot read", async () => {
  mkdirSync(high());
  writeFileSync(join(high(), "10.json"), "{}");
  expect(await codeOfAsync(() => findFirmware("x86_64", [high()]))).toBe("machine.firmware.descriptor");
});

test("findFirmware() finds what Debian ships", async () => {
  const firmware = await findFirmware("x86_64", descriptorDirectories("/nonexistent"));
  expect(firmware).toEqual({
    code: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
    codeFormat: "raw",
    store: "/usr/share/OVMF/OVMF_VARS_4M.fd",
    requiresSmm: true,
  });
});
