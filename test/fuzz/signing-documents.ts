/** A document of each kind that signers and builders pass to each other. */
import { createHash } from "node:crypto";
import { makeApproval, makeSigningRequest } from "../../src/formats/signing-request/index.ts";

const zeros = "00".repeat(32);
const der = Buffer.from("certificate");
const fingerprint = createHash("sha256").update(der).digest("hex");

const request = makeSigningRequest({
  round: "image",
  created: "2026-06-01T00:00:00Z",
  tool: "t",
  image: { source: "a", manifestDigest: `sha256:${zeros}` as never, platform: "linux/amd64" },
  seal: {
    kernelArguments: ["rw"],
    keepKernel: false,
    addons: [],
    digestFormats: ["v1-sha512"],
    normalize: "no",
    dump: true,
    allowMissingVerity: false,
  },
  sealed: {
    os: { id: "debian", name: "Debian" },
    kernel: "6.12",
    bootLoader: { path: "/usr/a.efi", authenticodeDigest: zeros },
  },
  certificate: { subject: "CN=a", fingerprint, der: der.toString("base64") },
  items: [
    { role: "pcr-policy", name: "p", toBeSigned: "AA==", bank: "sha256", phases: "enter-initrd", publicKey: zeros },
  ],
  summary: [],
});

const approval = makeApproval(
  {
    request: zeros,
    approver: "a",
    decision: "approve",
    created: "2026-06-01T00:00:00Z",
    publicKey: zeros,
    algorithm: "rsa-sha256",
  },
  new Uint8Array(4),
);

const entry = {
  algorithm: "rsa-sha256",
  approvals: [],
  certificate: zeros,
  event: "signed",
  image: { manifestDigest: `sha256:${zeros}`, platform: "linux/amd64", source: "a" },
  items: [],
  kernel: "6.12",
  key: zeros,
  name: "a",
  os: { id: "debian" },
  previous: zeros,
  request: zeros,
  round: "image",
  schema: "sealwright.audit-entry",
  sequence: 0,
  signature: "AAAA",
  time: "2026-06-01T00:00:00Z",
  version: 1,
};

const head = {
  schema: "sealwright.audit-head",
  version: 1,
  sequence: 0,
  line: zeros,
  key: zeros,
  algorithm: "rsa-sha256",
  signature: "AAAA",
};

const POLICY = `repositories = ["a/*"]
certificates = ["db.crt"]
max-age = "1h"
[kernel-arguments]
required = ["rw", "**"]
[approvals]
quorum = 1
approvers = { a = "a.pub" }
`;

export const signingDocuments = (): string[] => [
  ...[request, approval, entry, head].map((document) => JSON.stringify(document)),
  POLICY,
];
