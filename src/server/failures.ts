/** Refusals as answers: the status follows from the family, the cause code says the rest. */
import type { ContentfulStatusCode } from "hono/utils/http-status";
import {
  FormatError,
  InputOutputError,
  NotFoundError,
  PolicyError,
  type SealwrightError,
  UnsupportedError,
  UsageError,
  VerificationError,
} from "../lib/errors.ts";
import type { FailureBody } from "../model/signing-service/index.ts";

/** Codes whose status is not that of their family. */
const STATUS: Readonly<Record<string, ContentfulStatusCode>> = {
  "service.unauthenticated": 401,
  "service.token-wrong": 401,
  "service.access-revoked": 401,
  "service.certificate-unknown": 401,
  "service.certificate-untrusted": 401,
  "service.method": 405,
  "service.not-signed": 409,
  "service.already-decided": 409,
  "service.request-state": 409,
  "service.request-expired": 409,
  "service.body-too-large": 413,
  "service.content-type": 415,
  "service.rate-limited": 429,
};

type Family = abstract new (...args: never[]) => SealwrightError;

const FAMILIES: readonly (readonly [Family, ContentfulStatusCode])[] = [
  [NotFoundError, 404],
  [PolicyError, 403],
  [VerificationError, 422],
  [FormatError, 400],
  [UsageError, 400],
  [UnsupportedError, 400],
  [InputOutputError, 503],
];

export function statusOf(error: SealwrightError): ContentfulStatusCode {
  return STATUS[error.code] ?? FAMILIES.find(([family]) => error instanceof family)?.[1] ?? 500;
}

export function failureBody({ code, hint, message }: SealwrightError): FailureBody {
  return { error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}

/** What a fault of the program tells to the outside. */
export const FAULT_BODY: FailureBody = {
  error: { code: "internal", message: "a fault of the service; its log says more" },
};
