import { execFileSync } from "node:child_process";
import { createPublicKey, verify, webcrypto } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { sharedFixture } from "../../../test/fixtures.ts";
import { SealwrightError } from "../../lib/errors.ts";
import { parseCertificate, parsePublicKey } from "../x509/index.ts";
import {
  type Approval,
  type ApprovalContent,
  approvalMessage,
  encodeApproval,
  encodeSigningRequest,
  fingerprintOf,
  hashDocument,
  listRequestFiles,
  makeApproval,
  makeSigningRequest,
  parseApproval,
  parseSigningRequest,
  type RequestContent,
  verifyApproval,
} from "./index.ts";

const certificate = parseCertificate(readFileSync(sharedFixture("secureboot/keys/test-db.crt")), "test-db.crt");
const fingerprint = Buffer.from(certificate.fingerprint).toString("hex");
const zeros = "00".repeat(32);

const content: RequestContent = {
  round: "image",
  created: "2026-06-01T00:00:00Z",
  tool: "sealwright 0.1.0",
  image: {
    source: "quay.io/example/os:latest",
    manifestDigest: `sha256:${zeros}` as never,
    platform: "linux/amd64",
    target: "quay.io/example/os:sealed",
  },
  seal: {
    kernelArguments: ["quiet"],
    keepKernel: false,
    addons: [],
    digestFormats: ["v1-sha512"],
    normalize: "no",
    dump: true,
    allowMissingVerity: false,
  },
  sealed: {
    os: { id: "debian", name: "Debian GNU/Linux 13", version: "13" },
    kernel: "6.12",
    bootLoader: { path: "/usr/lib/systemd/boot/efi/systemd-bootx64.efi", authenticodeDigest: zeros },
    digests: { "v1-sha512": "ab".repeat(64) },
    commandLine: "rw quiet",
  },
  certificate: {
    subject: certificate.subject,
    fingerprint,
    der: Buffer.from(certificate.der).toString("base64"),
  },
  items: [
    {
      role: "uki",
      name: "6.12.efi",
      toBeSigned: "MQA=",
      path: "/boot/EFI/Linux/6.12.efi",
      file: "files/6.12.efi",
      size: 5,
      sha256: zeros,
      authenticodeDigest: zeros,
      certificate: fingerprint,
    },
    {
      role: "pcr-policy",
      name: "pcr11-sha256-1",
      toBeSigned: "AA==",
      bank: "sha256",
      phases: "enter-initrd",
      publicKey: zeros,
    },
  ],
  summary: ["seal quay.io/example/os:latest"],
};

const request = makeSigningRequest(content);
const [item, pcr] = request.items;

/** A request with its own identifier, whatever is in it. */
function forged(change: object): Uint8Array {
  const { id: _, ...document } = { ...request, ...change };
  return Buffer.from(JSON.stringify({ ...document, id: hashDocument(document) }));
}

test("parseSigningRequest() reads what encodeSigningRequest() wrote", () => {
  expect(parseSigningRequest(encodeSigningRequest(request))).toEqual(request);
  expect(listRequestFiles(request)).toEqual([{ name: "6.12.efi", size: 5, sha256: zeros }]);
});

test("the identifier depends on the content, not on white space or the order of members", () => {
  const reversed = Object.fromEntries(Object.entries(request).reverse());
  expect(parseSigningRequest(Buffer.from(JSON.stringify(reversed))).id).toBe(request.id);
  expect(makeSigningRequest({ ...content, tool: "another" }).id).not.toBe(request.id);
});

const stub = { file: "files/_stub.efi", size: 1, sha256: zeros };
const addon = { file: "files/a.addon.efi", size: 1, sha256: zeros, global: false };

test.each<[string, () => Uint8Array, string]>([
  ["text edited by hand", () => Buffer.from(JSON.stringify({ ...request, tool: "me" })), "signing-request.edited"],
  [
    "an item edited by hand",
    () => Buffer.from(encodeSigningRequest(request).toString().replace("6.12.efi", "6.13.efi")),
    "signing-request.edited",
  ],
  [
    "an identifier edited by hand",
    () => Buffer.from(JSON.stringify({ ...request, id: zeros })),
    "signing-request.edited",
  ],
  ["an unknown version", () => forged({ version: 2 }), "signing-request.version"],
  ["no version", () => forged({ version: undefined }), "signing-request.version"],
  ["another schema", () => forged({ schema: "sealwright.approval" }), "signing-request.schema"],
  ["a list", () => Buffer.from("[]"), "signing-request.schema"],
  ["null", () => Buffer.from("null"), "signing-request.schema"],
  ["an unknown member", () => forged({ more: 1 }), "signing-request.malformed"],
  ["a member twice", () => Buffer.from('{"schema":1,"schema":1}'), "signing-request.malformed"],
  ["a name that climbs", () => forged({ items: [{ ...item, name: "../6.12.efi" }] }), "signing-request.path"],
  ["a name with a slash", () => forged({ items: [{ ...item, name: "a/b" }] }), "signing-request.path"],
  ["a hidden name", () => forged({ items: [{ ...item, name: ".efi" }] }), "signing-request.path"],
  [
    "a file that climbs",
    () => forged({ items: [{ ...item, file: "files/../../etc/passwd" }] }),
    "signing-request.path",
  ],
  ["an absolute file", () => forged({ items: [{ ...item, file: "/etc/passwd" }] }), "signing-request.path"],
  ["a file of another item", () => forged({ items: [{ ...item, file: "files/other.efi" }] }), "signing-request.path"],
  [
    "a stub elsewhere",
    () => forged({ seal: { ...request.seal, stub: { ...stub, file: "../s" } } }),
    "signing-request.path",
  ],
  [
    "an addon elsewhere",
    () => forged({ seal: { ...request.seal, addons: [{ ...addon, file: "files/../a" }] } }),
    "signing-request.path",
  ],
  ["two items of one name", () => forged({ items: [item, item] }), "signing-request.malformed"],
  [
    "a file with two contents",
    () =>
      forged({ seal: { ...request.seal, addons: [{ ...addon, file: "files/6.12.efi", sha256: "11".repeat(32) }] } }),
    "signing-request.malformed",
  ],
  ["no item", () => forged({ items: [] }), "signing-request.malformed"],
  [
    "too many items",
    () => forged({ items: Array.from({ length: 65 }, (_, index) => ({ ...pcr, name: `p${index}` })) }),
    "signing-request.malformed",
  ],
  ["a file that is too large", () => forged({ items: [{ ...item, size: 2 ** 31 }] }), "signing-request.malformed"],
  ["a document that is too large", () => Buffer.alloc((1 << 20) + 1, 0x20), "signing-request.malformed"],
  ["text that hides something", () => forged({ tool: "sealwright \u202e0.1" }), "signing-request.malformed"],
  ["text with an escape", () => forged({ tool: "\u001b[2J" }), "signing-request.malformed"],
  [
    "base64 in another spelling",
    () => forged({ items: [{ ...item, toBeSigned: "MQB=" }] }),
    "signing-request.malformed",
  ],
  ["a day that is none", () => forged({ created: "2026-13-01T00:00:00Z" }), "signing-request.malformed"],
  [
    "a certificate of somebody else",
    () => forged({ certificate: { ...request.certificate, fingerprint: zeros } }),
    "signing-request.certificate",
  ],
  [
    "an item for another certificate",
    () => forged({ items: [{ ...item, certificate: zeros }] }),
    "signing-request.certificate",
  ],
])("parseSigningRequest() refuses %s", (_, bytes, code) => {
  expect(codeOf(() => parseSigningRequest(bytes()))).toBe(code);
});

test("parseSigningRequest() answers any mutation of a request with a refusal", () => {
  const bytes = Buffer.from(JSON.stringify(request));
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      const changed = Uint8Array.from(bytes);
      if (changed[at] === value) return;
      changed[at] = value;
      expect(() => parseSigningRequest(changed)).toThrow(SealwrightError);
    }),
    { numRuns: 300 },
  );
});

const { subtle } = webcrypto;

/** What a browser does: a key that it cannot export, a signature as WebCrypto gives it, sorted members. */
async function approveInBrowser(algorithm: Approval["algorithm"], change: Partial<ApprovalContent> = {}) {
  const isRsa = algorithm === "rsa-sha256";
  const parameters = isRsa
    ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }
    : { name: "ECDSA", namedCurve: "P-256" };
  const pair = await subtle.generateKey(parameters, false, ["sign", "verify"]);
  const spki = new Uint8Array(await subtle.exportKey("spki", pair.publicKey));
  const document: Record<string, unknown> = {
    schema: "sealwright.approval",
    version: 1,
    request: request.id,
    approver: "alice",
    decision: "approve",
    created: "2026-06-01T00:00:00Z",
    publicKey: fingerprintOf(parsePublicKey(spki)),
    algorithm,
    ...change,
  };
  const message = new TextEncoder().encode(JSON.stringify(document, Object.keys(document).sort()));
  const signature = new Uint8Array(
    await subtle.sign({ name: parameters.name, hash: "SHA-256" }, pair.privateKey, message),
  );
  const bytes = Buffer.from(JSON.stringify({ ...document, signature: Buffer.from(signature).toString("base64") }));
  return { key: parsePublicKey(spki), approval: parseApproval(bytes) };
}

test.each(["rsa-sha256", "ecdsa-p256-sha256"] as const)(
  "verifyApproval() takes what a browser signs with %s",
  async (algorithm) => {
    const { approval, key } = await approveInBrowser(algorithm, { reason: "looks good — prüfte alles" });
    verifyApproval(approval, request.id, key);
    expect(parseApproval(encodeApproval(approval))).toEqual(approval);
  },
);

test("OpenSSL verifies an approval over the documented message", async () => {
  const { approval, key } = await approveInBrowser("rsa-sha256");
  const directory = mkdtempSync(join(tmpdir(), "sealwright-approval-"));
  try {
    const place = (name: string, bytes: Uint8Array | string) => {
      writeFileSync(join(directory, name), bytes);
      return join(directory, name);
    };
    const object = createPublicKey({ key: Buffer.from(key.spki), format: "der", type: "spki" });
    const pem = place("key.pem", object.export({ format: "pem", type: "spki" }));
    const message = place("message", approvalMessage(approval));
    const signature = place("signature", Buffer.from(approval.signature, "base64"));
    const said = execFileSync("openssl", ["dgst", "-sha256", "-verify", pem, "-signature", signature, message]);
    expect(said.toString()).toContain("Verified OK");
    expect(verify("sha256", approvalMessage(approval), object, Buffer.from(approval.signature, "base64"))).toBe(true);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("verifyApproval() refuses what is about something else, of somebody else, or was changed", async () => {
  const { approval, key } = await approveInBrowser("ecdsa-p256-sha256");
  const other = await approveInBrowser("ecdsa-p256-sha256");
  const code = (change: Partial<Approval>, id = request.id, by = key) =>
    codeOf(() => verifyApproval({ ...approval, ...change }, id, by));
  expect(code({}, zeros)).toBe("approval.other-request");
  expect(code({}, request.id, other.key)).toBe("approval.other-key");
  expect(code({ decision: "reject" })).toBe("approval.signature-wrong");
  expect(code({ approver: "bob" })).toBe("approval.signature-wrong");
  expect(code({ reason: "more" })).toBe("approval.signature-wrong");
  expect(code({ algorithm: "rsa-sha256" })).toBe("approval.signature-wrong");
  expect(code({ signature: other.approval.signature })).toBe("approval.signature-wrong");
  expect(code({ signature: "" })).toBe("approval.signature-wrong");
});

test.each<[string, object, string]>([
  ["an unknown version", { version: 2 }, "approval.version"],
  ["a request", { schema: "sealwright.signing-request" }, "approval.schema"],
  ["a name that is a path", { approver: "../alice" }, "approval.malformed"],
  ["a decision that is none", { decision: "maybe" }, "approval.malformed"],
  ["an unknown member", { more: 1 }, "approval.malformed"],
  ["a reason of several lines", { reason: "a\nb" }, "approval.malformed"],
])("parseApproval() refuses %s", async (_, change, code) => {
  const base = makeApproval(
    {
      request: zeros,
      approver: "alice",
      decision: "approve",
      created: "2026-06-01T00:00:00Z",
      publicKey: zeros,
      algorithm: "rsa-sha256",
    },
    new Uint8Array(256),
  );
  expect(codeOf(() => parseApproval(Buffer.from(JSON.stringify({ ...base, ...change }))))).toBe(code);
});
