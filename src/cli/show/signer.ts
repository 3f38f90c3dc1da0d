import type { AddedAccess } from "../../actions/signer-service/manage-access.ts";
import { describeState, type FetchReport, type SubmitReport } from "../../actions/signer-service/submit.ts";
import type { Access } from "../../model/signing-queue/index.ts";
import type { RequestDetails, RequestView } from "../../model/signing-service/index.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

export function showSubmitted({ directory, request }: SubmitReport): Shown {
  const lines = [
    `request    ${request.id}`,
    `image      ${request.image}`,
    `state      ${describeState(request)}`,
    "",
    `Fetch the signatures with: sealwright signer fetch ${directory} --wait`,
  ];
  return { text: lines.map(printable).join("\n"), json: request };
}

export function showFetched({ directory, files, request }: FetchReport): Shown {
  const next =
    request.request.round === "image"
      ? `Complete the image with: sealwright seal --attach ${directory} --to IMAGE`
      : "Now run the same seal --prepare again: what follows from these signatures is asked for next.";
  const lines = [...files.map((file) => `${directory}/${file}`), "", next];
  return { text: lines.map(printable).join("\n"), json: { directory, files, request } };
}

export function showRequests(requests: readonly RequestView[]): Shown {
  if (requests.length === 0) return { text: "no requests", json: requests };
  const rows = requests.map((request) => [
    request.id.slice(0, 12),
    request.state,
    approvals(request),
    request.submittedAt.slice(0, 16).replace("T", " "),
    request.builder,
    request.image,
  ]);
  return {
    text: columns([["REQUEST", "STATE", "APPROVALS", "SUBMITTED", "BUILDER", "IMAGE"], ...rows]),
    json: requests,
  };
}

function approvals({ decisions, quorum }: RequestView): string {
  const approved = decisions.filter(({ verdict }) => verdict === "approved").length;
  return quorum === null ? "-" : `${approved} of ${quorum}`;
}

export function showDecided(request: RequestDetails): Shown {
  return { text: printable(`${request.image}: ${describeState(request)}`), json: request };
}

export function showAdded({ name, role, token }: AddedAccess): Shown {
  const json = { name, role, ...(token === undefined ? {} : { token }) };
  if (token === undefined) return { text: `${name} has access as ${role}, with its certificate`, json };
  return { text: token, json };
}

export function showAccessList(list: readonly Access[]): Shown {
  const json = list.map(({ addedAt, kind, name, revokedAt, role }) => ({
    name,
    role,
    kind,
    addedAt: addedAt.toISOString(),
    ...(revokedAt === undefined ? {} : { revokedAt: revokedAt.toISOString() }),
  }));
  if (list.length === 0) return { text: "nobody has access", json };
  const rows = json.map(({ addedAt, kind, name, revokedAt, role }) => [
    name,
    role,
    kind,
    addedAt.slice(0, 10),
    revokedAt === undefined ? "" : `revoked ${revokedAt.slice(0, 10)}`,
  ]);
  return { text: columns([["NAME", "ROLE", "BY", "SINCE", ""], ...rows]), json };
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return rows.map((row) => printable(line(row).trimEnd())).join("\n");
}
