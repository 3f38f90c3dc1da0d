/** The rules of a policy, each held against a request that its image has confirmed. */

import type { AuditEntry } from "../../formats/audit-log/index.ts";
import { compareVersions } from "../../formats/bls/index.ts";
import { parseGlob } from "../../formats/signing-policy/index.ts";
import type { SigningRequest } from "../../formats/signing-request/index.ts";
import { findComposefsArguments, parseCommandLine } from "../../formats/uki/index.ts";
import { quote } from "../../lib/errors.ts";
import type { JudgedApprovals } from "./approvals.ts";
import { repositoryOf } from "./image-name.ts";
import { type LoadedPolicy, pcrFingerprint } from "./load-policy.ts";

/** What a rule says of a request. */
export interface RuleVerdict {
  readonly rule: string;
  readonly holds: boolean;
  /** For people: what was found. */
  readonly detail: string;
  /** Cause code of a rule that does not hold. */
  readonly code?: string;
}

export interface RuleSubject {
  readonly request: SigningRequest;
  readonly policy: LoadedPolicy;
  /** Where the image was read. */
  readonly readFrom: string;
  /** The last entry of that name and platform in the audit log. */
  readonly last: AuditEntry | undefined;
  readonly lint: { readonly failed: number; readonly names: readonly string[] } | undefined;
  readonly approvals: JudgedApprovals;
  readonly now: Date;
}

type Rule = (subject: RuleSubject) => RuleVerdict;

const holds = (rule: string, detail: string): RuleVerdict => ({ rule, holds: true, detail });
const broken = (rule: string, code: string, detail: string): RuleVerdict => ({ rule, holds: false, detail, code });

function repository({ policy, readFrom, request }: RuleSubject): RuleVerdict {
  const names = [...new Set([request.image.source, readFrom].map(repositoryOf))];
  const foreign = names.find((name) => !policy.repositories.some((glob) => glob(name)));
  if (foreign === undefined) return holds("repository", names.join(", "));
  const allowed = policy.rules.repositories.map(quote).join(", ");
  return broken("repository", "policy.repository", `${foreign}: expected one of ${allowed}`);
}

function target({ policy, request }: RuleSubject): RuleVerdict {
  const name = request.image.target;
  if (policy.targets === undefined) return holds("target", name ?? "any");
  const allowed = (policy.rules.targets ?? []).map(quote).join(", ");
  if (name === undefined)
    return broken("target", "policy.target", `the request names none, expected one of ${allowed}`);
  if (policy.targets.some((glob) => glob(name) || glob(repositoryOf(name)))) return holds("target", name);
  return broken("target", "policy.target", `${name}: expected one of ${allowed}`);
}

function certificate({ policy, request }: RuleSubject): RuleVerdict {
  const { fingerprint, subject } = request.certificate;
  if (policy.certificates.has(fingerprint)) return holds("certificate", `${subject}  ${fingerprint}`);
  return broken("certificate", "policy.certificate", `${subject} (${fingerprint}): none that the policy allows`);
}

/** Clocks of two machines differ. */
const CLOCK_SLACK_SEC = 300;

function age({ now, policy, request }: RuleSubject): RuleVerdict {
  const seconds = Math.floor((now.getTime() - Date.parse(request.created)) / 1000);
  if (seconds < -CLOCK_SLACK_SEC) return broken("age", "policy.from-future", `made at ${request.created}`);
  const most = policy.rules["max-age"];
  const detail = `made at ${request.created}, ${Math.max(0, seconds)} s ago`;
  if (most === undefined || seconds <= most) return holds("age", detail);
  return broken("age", "policy.too-old", `${detail}, expected at most ${most} s`);
}

/** Every argument that the kernel may get: of the UKI, and of addons. */
function argumentsOf({ sealed }: SigningRequest): string[] {
  const lines = [sealed.commandLine ?? "", ...(sealed.addons ?? []).map(({ commandLine }) => commandLine)];
  return lines.flatMap((line) => parseCommandLine(line).map(({ text }) => text));
}

function kernelArguments({ policy, request }: RuleSubject): RuleVerdict {
  const { forbidden, required } = policy.rules["kernel-arguments"];
  const given = argumentsOf(request);
  const own = parseCommandLine(request.sealed.commandLine ?? "").map(({ text }) => text);
  const missing = required.filter((glob) => !own.some(parseGlob(glob)));
  const present = given.filter((argument) => forbidden.some((glob) => parseGlob(glob)(argument)));
  if (present.length > 0) {
    return broken("kernel-arguments", "policy.kernel-argument-forbidden", `found ${present.map(quote).join(", ")}`);
  }
  if (missing.length > 0) {
    return broken("kernel-arguments", "policy.kernel-argument-missing", `no ${missing.map(quote).join(", no ")}`);
  }
  return holds("kernel-arguments", `${required.length} required are there, ${forbidden.length} forbidden are not`);
}

function verity({ policy, request }: RuleSubject): RuleVerdict {
  const optional = findComposefsArguments(request.sealed.commandLine ?? "").some((each) => each.optional);
  if (!optional) return holds("fs-verity", "required");
  if (policy.rules["allow-missing-verity"]) return holds("fs-verity", "may be missing, as the policy allows");
  return broken("fs-verity", "policy.verity-optional", "composefs=?: hosts without fs-verity boot unprotected");
}

function stub({ policy, request }: RuleSubject): RuleVerdict {
  const { stub: foreign } = request.seal;
  if (foreign === undefined) return holds("stub", "the image's own");
  if (policy.rules.stubs.includes(foreign.sha256)) return holds("stub", `${foreign.sha256}, as the policy allows`);
  return broken(
    "stub",
    "policy.stub-foreign",
    `${foreign.sha256}: not from the image, and the policy does not know it`,
  );
}

function pcrKey({ policy, request }: RuleSubject): RuleVerdict {
  const { pcrPublicKey } = request.seal;
  if (pcrPublicKey === undefined) return holds("pcr-key", "none");
  const fingerprint = pcrFingerprint(Buffer.from(pcrPublicKey, "base64"));
  if (policy.pcrKeys.has(fingerprint)) return holds("pcr-key", fingerprint);
  return broken("pcr-key", "policy.pcr-key", `${fingerprint}: PCR policies of a key that the policy does not allow`);
}

function addons({ policy, request }: RuleSubject): RuleVerdict {
  const { length } = request.seal.addons;
  if (length === 0 || policy.rules["allow-addons"]) return holds("addons", length === 0 ? "none" : `${length}`);
  return broken("addons", "policy.addon-foreign", `${length} addons that are not from the image`);
}

function version({ last, policy, request }: RuleSubject): RuleVerdict {
  if (last === undefined) return holds("version", "nothing of that name was signed before");
  if (policy.rules["allow-older-version"]) return holds("version", "may decrease, as the policy allows");
  const { imageVersion, os } = request.sealed;
  const pairs = [
    { what: "image version", before: last.os.imageVersion, after: imageVersion },
    { what: "version of the OS", before: last.os.version, after: os.version },
  ];
  for (const { after, before, what } of pairs) {
    if (before === undefined) continue;
    if (after === undefined)
      return broken("version", "policy.version-missing", `no ${what}, ${before} was signed before`);
    if (compareVersions(after, before) >= 0) continue;
    return broken("version", "policy.version-decreased", `${what} ${after}, ${before} was signed before`);
  }
  const shown = pairs
    .filter(({ after }) => after !== undefined)
    .map(({ after, before, what }) => `${what} ${after} after ${before ?? "none"}`);
  return holds("version", shown.join(", ") || "none is said");
}

function lint({ lint: found, policy }: RuleSubject): RuleVerdict {
  if (found === undefined) return holds("lint", "off, as the policy says");
  if (found.failed === 0) return holds("lint", `nothing that the policy minds (${policy.rules.lint})`);
  return broken("lint", "policy.lint", `${found.failed} findings: ${found.names.join(", ")}`);
}

function approvals({ approvals: { approved, needed, rejected } }: RuleSubject): RuleVerdict {
  const names = approved.map(({ approver }) => approver);
  if (rejected.length > 0) {
    const who = rejected.map(({ approver, reason }) => `${approver}${reason === undefined ? "" : ` (${reason})`}`);
    return broken("approvals", "policy.rejected", `rejected by ${who.join(", ")}`);
  }
  const detail = `${names.length} of ${needed}${names.length === 0 ? "" : `: ${names.join(", ")}`}`;
  if (names.length >= needed) return holds("approvals", needed === 0 ? "none needed" : detail);
  return broken("approvals", "policy.quorum", detail);
}

/** In the order in which they are shown; the first that does not hold gives the refusal its code. */
const RULES: readonly Rule[] = [
  repository,
  target,
  certificate,
  age,
  kernelArguments,
  verity,
  stub,
  pcrKey,
  addons,
  version,
  lint,
  approvals,
];

export const judgeRules = (subject: RuleSubject): RuleVerdict[] => {
  // The boot loader alone has no command line yet: its round says nothing about the UKI.
  const rules =
    subject.request.round !== "boot-loader"
      ? RULES
      : RULES.filter((rule) => rule !== kernelArguments && rule !== verity);
  return rules.map((rule) => rule(subject));
};
