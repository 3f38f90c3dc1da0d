/** An approver with a key as browsers make them. */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { Approver } from "../../src/actions/signer-service/desk.ts";
import {
  type ApprovalContent,
  approvalMessage,
  encodeApproval,
  fingerprintOf,
  makeApproval,
} from "../../src/formats/signing-request/index.ts";
import { type PublicKey, parsePublicKey } from "../../src/formats/x509/index.ts";

export class TestApprover implements Approver {
  readonly name: string;
  readonly key: PublicKey;
  readonly publicPem: string;
  readonly #privateKey: KeyObject;

  constructor(name: string) {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.name = name;
    this.#privateKey = privateKey;
    this.publicPem = String(publicKey.export({ format: "pem", type: "spki" }));
    this.key = parsePublicKey(publicKey.export({ format: "der", type: "spki" }));
  }

  decide(request: string, decision: "approve" | "reject" = "approve", reason?: string): Uint8Array {
    const content: ApprovalContent = {
      request,
      approver: this.name,
      decision,
      ...(reason === undefined ? {} : { reason }),
      created: "2026-11-21T12:00:00Z",
      publicKey: fingerprintOf(this.key),
      algorithm: "ecdsa-p256-sha256",
    };
    const key = { key: this.#privateKey, dsaEncoding: "ieee-p1363" } as const;
    return encodeApproval(makeApproval(content, sign("sha256", approvalMessage(content), key)));
  }
}
