/** Signing requests for people: what would be signed, and what comes next. */
import type { PrepareReport } from "../../actions/seal/prepare.ts";
import type { SigningRequest } from "../../formats/signing-request/index.ts";
import type { Shown } from "../perform.ts";

export function showPrepared(report: PrepareReport): Shown {
  const { directory, loaderSignature, request, warnings } = report;
  const rows: [string, string][] = [
    [
      "request",
      `${directory}  ${request.round === "boot-loader" ? "round 1 of 2: the boot loader" : ROUND_OF_IMAGE[loaderSignature]}`,
    ],
    ...requestRows(request),
    ["next", NEXT[request.round](directory)],
  ];
  const lines = warnings.map(({ code, message }) => `warning: ${message} [${code}]`);
  return { text: [...lines, ...showRows(rows)].join("\n"), json: { directory, loaderSignature, request, warnings } };
}

const ROUND_OF_IMAGE = {
  "in the image": "the only round: the image's boot loader is signed",
  cache: "the only round: the boot loader was signed for an earlier build",
  "earlier round": "round 2 of 2: the rest",
  "to be signed": "",
} as const;

const NEXT = {
  "boot-loader": (directory: string) =>
    `sign it: sealwright sign-request ${directory} --key KEY, then run the same seal --prepare again\n${" ".repeat(14)}` +
    "(the boot loader is a file of the sealed tree: its signature is part of the digest that the UKI carries)",
  image: (directory: string) =>
    `sign it: sealwright sign-request ${directory} --key KEY, then: sealwright seal --attach ${directory} --to IMAGE`,
} as const;

/** What is in a request, as rows of a title and a value. */
export function requestRows(request: SigningRequest): [title: string, value: string][] {
  const { certificate, image, items, sealed } = request;
  const { addons = [], bootLoader, commandLine, digests = {}, imageVersion, kernel, os } = sealed;
  return [
    ["identifier", request.id],
    ["created", `${request.created} by ${request.tool}`],
    ["image", `${image.source}  ${image.manifestDigest}  ${image.platform}`],
    ...(image.target === undefined ? [] : [["sealed as", image.target] as [string, string]]),
    ["system", `${os.name}${imageVersion === undefined ? "" : `, image version ${imageVersion}`}, kernel ${kernel}`],
    ["boot loader", `${bootLoader.path}  systemd-boot ${bootLoader.version ?? "of unknown version"}`],
    ...(commandLine === undefined ? [] : [["command line", commandLine] as [string, string]]),
    ...addons.map((addon): [string, string] => ["addon", `${addon.path}  ${addon.commandLine}`.trimEnd()]),
    ...Object.entries(digests).map(([name, hex]): [string, string] => ["digest", `${name} ${hex}`]),
    ["signer", `${certificate.subject}  sha256 ${certificate.fingerprint}`],
    ...items.map((item): [string, string] => [
      "to sign",
      "authenticodeDigest" in item
        ? `${item.name}  ${item.role}, Authenticode ${item.authenticodeDigest}`
        : `${item.name}  ${item.role}, ${item.bank}, ${item.phases}`,
    ]),
  ];
}

export function showRows(rows: readonly (readonly [string, string])[]): string[] {
  return rows.map(([title, value]) => `${title.padEnd(13)} ${value}`);
}
