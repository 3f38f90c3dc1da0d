/** Requests, and a desk that looks at them and signs without images: for what the service itself does. */
import { createHash } from "node:crypto";
import type { Approver, DeskWork, Reviewed, Signed, SigningDesk } from "../../src/actions/signer-service/desk.ts";
import {
  type Approval,
  encodeSigningRequest,
  makeSigningRequest,
  type RequestFile,
  type SigningRequest,
} from "../../src/formats/signing-request/index.ts";
import { PolicyError, type SealwrightError } from "../../src/lib/errors.ts";
import type { AuditWriter } from "../../src/model/signing-queue/index.ts";
import type { ReviewView } from "../../src/model/signing-service/index.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

export interface TestRequest {
  readonly id: string;
  readonly request: SigningRequest;
  readonly document: Uint8Array;
}

/** @param stub comes with the request instead of being the image's */
export function makeTestRequest(image: string, stub?: Uint8Array): TestRequest {
  const certificate = "not looked at here";
  const digest = sha256(`tree of ${image}`);
  const request = makeSigningRequest({
    round: "image",
    created: "2026-11-21T11:30:00Z",
    tool: "sealwright 0.1.0",
    image: {
      source: image,
      manifestDigest: `sha256:${sha256(image)}`,
      platform: "linux/amd64",
      target: image.replace(/(?::[^/]*)?$/, ":sealed"),
    } as SigningRequest["image"],
    seal: {
      kernelArguments: ["console=ttyS0"],
      keepKernel: false,
      ...(stub === undefined
        ? {}
        : {
            stub: {
              file: "files/_stub.efi",
              size: stub.length,
              sha256: createHash("sha256").update(stub).digest("hex"),
            },
          }),
      addons: [],
      digestFormats: ["v1-sha512"],
      normalize: "no",
      dump: true,
      allowMissingVerity: false,
    },
    sealed: {
      os: { id: "debian", name: "Debian GNU/Linux 13 (trixie)", version: "13" },
      imageVersion: "2026.47",
      kernel: "6.12.57+deb13-amd64",
      bootLoader: {
        path: "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
        version: "257.9-1",
        authenticodeDigest: sha256("loader"),
      },
      digests: { "v1-sha512": `${digest}${sha256(digest)}` },
      commandLine: `root=LABEL=root rw quiet composefs=${digest}${sha256(digest)} console=ttyS0`,
    },
    certificate: {
      subject: "CN=Example db 2026",
      fingerprint: sha256(certificate),
      der: Buffer.from(certificate).toString("base64"),
    },
    items: [
      {
        role: "uki",
        name: "6.12.57+deb13-amd64.efi",
        toBeSigned: Buffer.from(`attributes of ${image}`).toString("base64"),
        path: "/boot/EFI/Linux/6.12.57+deb13-amd64.efi",
        file: "files/6.12.57+deb13-amd64.efi",
        size: 71_303_168,
        sha256: sha256("uki"),
        authenticodeDigest: sha256(`uki of ${image}`),
        certificate: sha256(certificate),
      },
    ],
    summary: ["one UKI"],
  });
  return { id: request.id, request, document: encodeSigningRequest(request) };
}

export interface StandInOptions {
  readonly approvers: readonly Approver[];
  readonly quorum: number;
  readonly review?: ReviewView;
  /** Before a request is signed: waits, throws. */
  readonly beforeSigning?: (work: DeskWork) => Promise<void>;
}

export const EMPTY_REVIEW: ReviewView = { reviewedAt: "2026-11-21T12:00:00Z", verdicts: [], lint: [], diff: null };

export class StandInDesk implements SigningDesk {
  approverList: readonly Approver[];
  /** Refuses what is reviewed from now on. */
  refusal: SealwrightError | undefined;
  /** Every time something was signed. */
  readonly signed: string[] = [];
  readonly #options: StandInOptions;

  constructor(options: StandInOptions) {
    this.#options = options;
    this.approverList = options.approvers;
  }

  approvers(): Promise<readonly Approver[]> {
    return Promise.resolve(this.approverList);
  }

  neededFiles({ seal: { stub } }: SigningRequest): readonly RequestFile[] {
    return stub === undefined ? [] : [{ name: "_stub.efi", size: stub.size, sha256: stub.sha256 }];
  }

  review(): Promise<Reviewed> {
    const { quorum, review = EMPTY_REVIEW } = this.#options;
    const error = this.refusal;
    const refusal = error && { error, audit: this.#audit({ refused: error.code }) };
    return Promise.resolve({ review, quorum, refusal });
  }

  async sign(work: DeskWork, approvals: readonly Approval[]): Promise<Signed> {
    const { beforeSigning, quorum } = this.#options;
    if (approvals.length < quorum) throw new PolicyError("test.quorum", "the service came with too few approvals");
    await beforeSigning?.(work);
    const { id, items } = work.request;
    this.signed.push(id);
    return {
      signatures: items.map(({ name }) => ({
        file: `${name}.sig`,
        bytes: Buffer.from(`of ${name}`).toString("base64"),
      })),
      audit: this.#audit({ signed: id }),
    };
  }

  auditHead(last: string): Promise<string> {
    return Promise.resolve(JSON.stringify({ line: sha256(last) }));
  }

  #audit(facts: object): AuditWriter {
    return (last, sequence) =>
      Promise.resolve(JSON.stringify({ sequence, last: last === undefined ? null : sha256(last), ...facts }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
