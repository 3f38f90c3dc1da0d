import { expect, test, vi } from "vitest";
import { SOFTHSM_MODULE } from "../../../../test/softhsm.ts";
import { openSigner } from "../open-signer.ts";

vi.mock("pkcs11js", () => {
  throw Object.assign(new Error("Cannot find package 'pkcs11js'"), { code: "ERR_MODULE_NOT_FOUND" });
});

test("without the optional package a token is refused with what to do", async () => {
  await expect(openSigner(`pkcs11:token=a?module-path=${SOFTHSM_MODULE}`, { now: new Date() })).rejects.toMatchObject({
    code: "signer.pkcs11-unavailable",
    exitCode: 82,
    hint: expect.stringContaining("npm"),
  });
});
