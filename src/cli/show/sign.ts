import type { DetachedReport } from "../../actions/sign/detached.ts";
import type { CertificateFacts, SignatureFacts, SignatureListReport } from "../../actions/sign/list-signatures.ts";
import type { SignedFileReport } from "../../actions/sign/pe-file.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

export function showSigned(report: SignedFileReport & { readonly signers?: readonly string[] }): Shown {
  const { authenticodeDigest, output, signatures, signers = [] } = report;
  const count = signatures === 0 ? "unsigned" : `${signatures} ${signatures === 1 ? "signature" : "signatures"} now`;
  const lines = signers.map((subject) => `signed by  ${printable(subject)}`);
  return { text: [`${output}: ${count}`, ...lines, digestLine(authenticodeDigest)].join("\n"), json: report };
}

export function showDetached(report: DetachedReport): Shown {
  const { authenticodeDigest, output, signers } = report;
  const lines = signers.map((subject) => `signed by  ${printable(subject)}`);
  return { text: [`${output}: detached signature`, ...lines, digestLine(authenticodeDigest)].join("\n"), json: report };
}

export function showSignatureList(report: SignatureListReport): Shown {
  const { authenticodeDigest, path, signatures } = report;
  const count =
    signatures.length === 0 ? "no signature" : `${signatures.length} signature${signatures.length === 1 ? "" : "s"}`;
  const blocks = signatures.map((signature) => blockOf(signature).join("\n"));
  return { text: [`${path}: ${count}`, digestLine(authenticodeDigest), ...blocks].join("\n"), json: report };
}

const digestLine = (digest: string): string => `Authenticode SHA-256  ${digest}`;

function blockOf(signature: SignatureFacts): string[] {
  const { chain = [], digestAlgorithm, holds, number, problem, signer, signingTime, size, timestamp } = signature;
  const verdict = holds
    ? "holds for this file"
    : `does not hold: ${printable(problem?.message ?? "")} [${problem?.code}]`;
  const stamp =
    timestamp === undefined || "time" in timestamp
      ? timestamp && `${timestamp.time} by ${printable(timestamp.authority)}`
      : `does not hold: ${printable(timestamp.message)} [${timestamp.code}]`;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["signer", signer && certificateLine(signer)],
    ["issuer", signer && printable(signer.issuer)],
    ["SHA-256", signer?.fingerprint],
    ...chain.map((one) => ["with", certificateLine(one)] as const),
    ["digest", digestAlgorithm],
    ["time", signingTime],
    ["timestamp", stamp],
    ["size", size === undefined ? undefined : `${size} bytes`],
  ];
  const lines = rows.filter(([, value]) => value !== undefined).map(([name, value]) => `   ${name.padEnd(10)}${value}`);
  return ["", `${number}. ${verdict}`, ...lines];
}

function certificateLine({ key, notAfter, notBefore, subject }: CertificateFacts): string {
  return `${printable(subject)} (${key}, ${notBefore.slice(0, 10)} to ${notAfter.slice(0, 10)})`;
}
