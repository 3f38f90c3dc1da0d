import type { ExplainReport } from "../../actions/explain/explain-difference.ts";
import type { AgainstReport } from "../../actions/explain/find-variant.ts";
import type { Cause, Example } from "../../actions/explain/findings.ts";
import type { SideReport } from "../../actions/explain/side.ts";
import type { Shown } from "../perform.ts";

/** The work was done and the answer is no: as for a verdict that does not hold. */
export const EXIT_DIFFERENT = 80;

export function showExplanation(report: ExplainReport): Shown {
  const { a, b, causes, equal } = report;
  const lines = [...showSide("A", a), ...showSide("B", b), "", conclusion(report), ...causes.flatMap(showCause)];
  return { text: lines.join("\n"), json: report, exitCode: equal ? 0 : EXIT_DIFFERENT };
}

export function conclusion({ causes, equal, sameTree }: ExplainReport): string {
  if (equal) return "the digests are equal";
  const count = causes.length === 1 ? "one cause" : `${causes.length} causes`;
  return sameTree ? "the digests differ, the trees do not" : `the digests differ: ${count}, the probable root first`;
}

/** What is worth a warning about a side. */
export function undeclaredNote({ undeclaredDirectories = 0 }: SideReport): string | undefined {
  if (undeclaredDirectories === 0) return undefined;
  const directories = undeclaredDirectories === 1 ? "1 directory" : `${undeclaredDirectories} directories`;
  return `no layer declares ${directories}; composefs-rs refuses such an image, other tools invent them`;
}

const KINDS: Readonly<Record<SideReport["kind"], string>> = {
  image: "image",
  directory: "directory",
  dump: "dump",
  erofs: "EROFS image",
  "embedded-dump": "dump inside the image",
};
const TRANSFORMS: Readonly<Record<SideReport["transform"], string>> = {
  boot: "boot transform",
  oci: "OCI transform only",
  none: "as it is",
};

export function describeSide({ kind, selinuxPolicy, transform }: SideReport): string {
  const policy = selinuxPolicy === undefined ? "" : `, labelled by policy "${selinuxPolicy}"`;
  return `${KINDS[kind]}, ${TRANSFORMS[transform]}${policy}`;
}

function showSide(name: string, side: SideReport): string[] {
  const note = undeclaredNote(side);
  return [
    `${name}  ${side.reference}  (${describeSide(side)})`,
    `   ${side.format} ${side.digest}`,
    ...(note === undefined ? [] : [`   note: ${note}`]),
  ];
}

function showCause(cause: Cause): string[] {
  const { advice, code, count, examples, subject, title } = cause;
  const hidden = count - examples.length;
  return [
    "",
    `${code}${subject === undefined ? "" : ` ${subject}`}  (${count})`,
    `  ${title}`,
    `  do: ${advice}`,
    ...examples.flatMap(showExample),
    ...(hidden === 0 ? [] : [`    and ${hidden} more`]),
  ];
}

function showExample({ a, b, field, layers, note, path }: Example): string[] {
  const values = `${field}: ${a ?? "none"} | ${b ?? "none"}`;
  return [
    `    ${path}  ${values}${note === undefined ? "" : `  (${note})`}`,
    ...(["a", "b"] as const).flatMap((side) => {
      const layer = layers?.[side];
      if (layer === undefined) return [];
      const by = layer.createdBy === undefined ? "" : `  ${oneLine(layer.createdBy)}`;
      return [`      ${side.toUpperCase()} layer ${layer.index} ${layer.digest.slice(0, 19)}${by}`];
    }),
  ];
}

/** History lines come from the image: cut, and with nothing that moves the cursor. */
export function oneLine(text: string): string {
  const shown = text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
  return shown.length > 100 ? `${shown.slice(0, 100)}...` : shown;
}

export function showVariant(report: AgainstReport): Shown {
  const { advice, embeddedDump, found, switches } = report;
  const dump =
    embeddedDump === undefined ? [] : [`the dump ${embeddedDump.path} has this digest, as ${embeddedDump.format}`];
  const lines =
    found === undefined
      ? [
          report.against,
          ...dump,
          `no known variant gives this digest; ${triedText(report)}:`,
          ...switches.map(({ name, options }) => `  ${name.padEnd(17)} ${options.join(", ")}`),
          "",
          ...advice.map((one) => `- ${one}`),
        ]
      : [
          report.against,
          ...dump,
          `found: ${found.name}`,
          ...found.options.map(({ meaning, switch: name }) => `  ${name.padEnd(17)} ${meaning}`),
          ...found.tools.map((tool) => `  computed by       ${tool}`),
        ];
  return { text: lines.join("\n"), json: report, exitCode: found === undefined ? EXIT_DIFFERENT : 0 };
}

export function triedText({ complete, depth, tried }: AgainstReport): string {
  const some = complete ? "" : "some of those ";
  return `${tried} tried, ${some}with up to ${depth} deviations from what bootc does`;
}
