import type { DiskReport, EntryReport, FileSystemReport, UkiFileReport } from "../../actions/disk-inspect/report.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

/** What is on a disk, from the outside in; an arrow marks what boots when nobody chooses. */
export function showDiskReport(report: DiskReport): Shown {
  const { disk, fileSize, format, guid, problems, size } = report;
  const lines = [
    `disk          ${disk}  ${format}, ${showSize(size)}${fileSize === size ? "" : ` in ${showSize(fileSize)}`}`,
    `GUID          ${guid}`,
    ...showPartitions(report),
    ...showEsp(report),
    ...showDeployments(report),
    ...showRepository(report),
    ...problems.map(({ code, message }) => `note: ${message} [${code}]`),
  ];
  return { text: lines.map(printable).join("\n"), json: report };
}

function showPartitions({ partitions }: DiskReport): string[] {
  const rows = partitions.map(({ fileSystem, name, number, size, type, typeName }) => [
    String(number),
    name,
    typeName ?? type,
    showSize(size),
    showFileSystem(fileSystem),
  ]);
  return section("partitions", table(rows));
}

function showFileSystem(fileSystem: FileSystemReport | null): string {
  if (fileSystem === null) return "-";
  const { free, label, type, uuid, verity } = fileSystem;
  const facts = [
    label === undefined || label === "" ? undefined : `"${label}"`,
    uuid,
    free === undefined ? undefined : `${showSize(free)} free`,
    verity === undefined ? undefined : verity ? "verity" : "no verity",
  ];
  return [type, ...facts.filter((fact) => fact !== undefined)].join("  ");
}

function showEsp({ esp }: DiskReport): string[] {
  if (esp === null) return [];
  const loaders = esp.bootLoaders.map(({ path, signers, version }) => [path, version ?? "", showSigners(signers)]);
  const configuration = [
    ...(esp.timeout === undefined ? [] : [["timeout", esp.timeout]]),
    ...(esp.defaultPattern === undefined ? [] : [["default", esp.defaultPattern]]),
  ];
  return [
    ...section("boot loader", [...table(loaders), ...table(configuration)]),
    ...section("boot entries", esp.entries.flatMap(showEntry)),
    ...section("UKIs", esp.ukis.flatMap(showUki)),
    ...section(
      "addons",
      table(esp.addons.map(({ commandLine, path, signers }) => [path, commandLine ?? "", showSigners(signers)])),
    ),
    ...section("keys to enrol", esp.keys),
  ];
}

function showEntry({ first, linux, path, sortKey, title, triesLeft, uki, version }: EntryReport): string[] {
  const facts = [
    title,
    version,
    sortKey && `sort key ${sortKey}`,
    triesLeft === undefined ? "" : `${triesLeft} tries left`,
  ];
  return [
    `${mark(first)}${path}`,
    `    ${facts.filter(Boolean).join(", ")}`,
    `    starts ${uki ?? linux ?? "nothing"}`,
  ];
}

function showUki({ commandLine, kernel, os, path, signers, size }: UkiFileReport): string[] {
  const facts = [showSize(size), kernel && `kernel ${kernel}`, os, showSigners(signers)].filter(Boolean).join(", ");
  return [path, `    ${facts}`, ...(commandLine === undefined ? [] : [`    ${commandLine}`])];
}

function showDeployments({ deployments }: DiskReport): string[] {
  const lines = deployments.flatMap(({ entries, etc, first, id, image, origin, var: target }) => {
    const state = [
      etc ? "etc" : "no etc",
      target === undefined ? "no var" : `var -> ${target}`,
      image ? "image" : "no image",
    ];
    const from = [origin?.image, origin?.manifestDigest].filter(Boolean).join(" ");
    return [
      `${mark(first)}${id}`,
      `    ${state.join(", ")}${entries.length === 0 ? ", no boot entry" : ""}`,
      ...(from === "" ? [] : [`    ${from}`]),
    ];
  });
  return section("deployments", lines);
}

function showRepository({ repository }: DiskReport): string[] {
  if (repository === null) return [];
  const { algorithm, erofsFormat, images, objects, references, secure, streams } = repository;
  const verity = objects.withoutVerity === 0 ? "" : `, ${objects.withoutVerity} without fs-verity`;
  return section("repository", [
    `meta.json  ${algorithm ?? "unreadable"}, EROFS format ${erofsFormat ?? "?"}, fs-verity ${secure ? "required" : "not required"}`,
    `objects    ${objects.count}, ${showSize(objects.size)}${verity}`,
    `images     ${images}`,
    `streams    ${streams}`,
    ...references.map((reference) => `reference  ${reference}`),
  ]);
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)];

const mark = (first: boolean): string => (first ? "-> " : "");

const showSigners = (signers: readonly string[]): string =>
  signers.length === 0 ? "unsigned" : `signed: ${signers.join("; ")}`;

/** Columns as wide as they have to be. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
