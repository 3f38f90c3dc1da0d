/** Lints of the EFI programs in an image: UKIs, addons, systemd-boot, and who signed them. */
import { authenticodeRanges } from "../../formats/authenticode/index.ts";
import type { Pe } from "../../formats/pe/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { checkBootLoader, findBootFiles, findUkis } from "../../model/os/index.ts";
import type { LintContext, Program } from "./context.ts";
import { type Finding, findingOf, type Lint } from "./lint.ts";

export const PROGRAM_LINTS: readonly Lint[] = [
  {
    name: "boot-entries",
    level: "fatal",
    description: "Boot loader entries in /boot/loader/entries make bootc stop.",
    check: ({ tree }) =>
      findingOf(
        "image.boot-entry-present",
        "found boot loader entries, expected none",
        findBootFiles(tree)
          .files.filter(({ kind }) => kind === "entry")
          .map(({ path }) => path),
      ),
  },
  {
    name: "boot-loader-second",
    level: "warning",
    description: "bootctl installs systemd-boot*.efi.signed in place of the one beside it, whoever signed it.",
    check: (context) => bootLoaderProblem(context, "image.systemd-boot-signed-twice"),
  },
  {
    name: "boot-loader-unsigned",
    level: "fatal",
    description: "Beside a signed UKI systemd-boot must be signed too: firmware starts it first.",
    check: async (context) => {
      const programs = await context.programs();
      const loader = programs.find(({ kind }) => kind === "boot-loader");
      if (loader === undefined || isSigned(loader) || !programs.some((each) => each.kind === "uki" && isSigned(each))) {
        return undefined;
      }
      const message = `${loader.path}: found no signature, expected one beside a signed UKI`;
      return { code: "boot-loader.unsigned", message, paths: [loader.path] };
    },
  },
  {
    name: "bootupd",
    level: "fatal",
    description: "With bootupd in the image installers choose GRUB, which does not boot a sealed image.",
    check: (context) =>
      findUkis(context.tree).length === 0 ? undefined : bootLoaderProblem(context, "image.bootupd-present"),
  },
  {
    name: "certificate-validity",
    level: "warning",
    description: "Certificates of signatures, and those given with --cert, should be valid for 90 days more.",
    check: checkCertificates,
  },
  {
    name: "efi-not-regular",
    level: "fatal",
    description: "Names ending in .efi must be regular files: installers stop at anything else.",
    check: ({ tree }) =>
      findingOf(
        "kernel.not-file",
        "found a name ending in .efi or .conf that is no regular file",
        findBootFiles(tree).problems.map(({ path = "" }) => path),
      ),
  },
  {
    name: "pe-sections",
    level: "fatal",
    description: "Sections of EFI programs must have different names and overlap neither in the file nor in memory.",
    check: async (context) => programProblem(await context.programs(), isSectionProblem),
  },
  {
    name: "pe-unsigned-bytes",
    level: "fatal",
    description: "EFI programs must have no bytes that a signature does not cover: behind it, or between sections.",
    check: async (context) =>
      findingOf(
        "pe.unsigned-bytes",
        "found bytes that no signature covers, expected none",
        (await context.programs()).flatMap(describeUnsigned),
      ),
  },
  {
    name: "uki-several",
    level: "fatal",
    description: "An image boots one UKI: of several, installers take the first by name.",
    check: ({ tree }) => {
      const paths = findUkis(tree)
        .filter(({ kind }) => kind === "uki")
        .map(({ path }) => path);
      return paths.length < 2
        ? undefined
        : { code: "uki.several", message: `found ${paths.length} UKIs, expected one`, paths };
    },
  },
  {
    name: "uki-stub-version",
    level: "warning",
    description: "Stubs before systemd 255 lay out sections over each other and measure less.",
    check: async (context) => {
      const old = (await context.programs()).filter(
        ({ kind, uki }) => kind === "uki" && (uki?.stubVersion ?? OLDEST_STUB) < OLDEST_STUB,
      );
      const [first] = old;
      const message = `found a stub of systemd ${first?.uki?.stubVersion}, expected ${OLDEST_STUB} or later`;
      return findingOf(
        "uki.stub.old",
        message,
        old.map(({ path }) => path),
      );
    },
  },
  {
    name: "uki-unreadable",
    level: "fatal",
    description: "EFI programs must be what their place says: PE files, UKIs, addons.",
    check: async (context) => programProblem(await context.programs(), (code) => !isSectionProblem(code)),
  },
  {
    name: "uki-unsigned",
    level: "warning",
    description: "With Secure Boot firmware starts only signed UKIs and addons.",
    check: async (context) =>
      findingOf(
        "uki.unsigned",
        "found no signature, expected one",
        (await context.programs())
          .filter((each) => each.kind !== "boot-loader" && each.problem === undefined && !isSigned(each))
          .map(({ path }) => path),
      ),
  },
];

const OLDEST_STUB = 255;

const isSigned = ({ signatures }: Program): boolean => signatures.length > 0;

function bootLoaderProblem({ settings, tree }: LintContext, code: string): Finding | undefined {
  if (settings.architecture === undefined) return undefined;
  const problem = checkBootLoader(tree, settings.architecture).find((each) => each.code === code);
  return (
    problem && { code, message: problem.message, ...(problem.path === undefined ? {} : { paths: [problem.path] }) }
  );
}

const isSectionProblem = (code: string): boolean => /^(pe|uki)\.section\./.test(code);

/** The first refusal of a kind. */
function programProblem(programs: readonly Program[], wanted: (code: string) => boolean): Finding | undefined {
  const found = programs.find(({ problem }) => problem !== undefined && wanted(problem.code));
  if (found?.problem === undefined) return undefined;
  return { code: found.problem.code, message: `${found.path}: ${found.problem.message}`, paths: [found.path] };
}

/** Neither is part of the digest: the checksum, and where the certificate table is. */
function excepted(pe: Pe): (readonly [from: number, to: number])[] {
  return [
    [pe.checksumOffset, pe.checksumOffset + 4],
    [pe.certificateEntryOffset, pe.certificateEntryOffset + 8],
  ];
}

/** A line for each range that the Authenticode digest leaves out and nothing justifies. */
function describeUnsigned({ path, pe }: Program): string[] {
  if (pe === undefined) return [];
  const table = pe.certificates;
  const tableEnd = table === undefined ? pe.bytes.length : table.offset + table.size;
  // Firmware refuses bytes behind the table, though the digest, which counts from the end, takes some of them in.
  const covered = authenticodeRanges(pe).map(([from, to]) => [from, Math.min(to, tableEnd)] as const);
  const ranges = [...covered, ...excepted(pe), ...(table === undefined ? [] : [[table.offset, tableEnd] as const])];
  return complement(ranges, pe.bytes.length).map(([from, to]) => `${path}: bytes ${from} to ${to}`);
}

/** What is left of 0 to `size`. */
function complement(ranges: readonly (readonly [number, number])[], size: number): [from: number, to: number][] {
  const holes: [number, number][] = [];
  let at = 0;
  for (const [from, to] of [...ranges].sort(([a], [b]) => a - b)) {
    if (from > at) holes.push([at, from]);
    at = Math.max(at, to);
  }
  if (at < size) holes.push([at, size]);
  return holes;
}

const DAY = 24 * 60 * 60 * 1000;
const NEAR_EXPIRY_DAYS = 90;

async function checkCertificates(context: LintContext): Promise<Finding | undefined> {
  const { certificates, now } = context.settings;
  const embedded = (await context.programs()).flatMap(({ path, signatures }) =>
    signatures.flatMap(({ signer }) => (signer === undefined ? [] : [{ of: path, certificate: signer }])),
  );
  const all = [...embedded, ...certificates.map((certificate) => ({ of: "--cert", certificate }))];
  const problems = all.flatMap(({ certificate, of }) => {
    const problem = validityProblem(certificate, now);
    return problem === undefined ? [] : [{ ...problem, line: `${of}: ${certificate.subject}, ${problem.text}` }];
  });
  // The worst of all gives the code.
  const code = ["certificate.expired", "certificate.not-yet-valid", "certificate.near-expiry"].find((each) =>
    problems.some((problem) => problem.code === each),
  );
  const message = `found certificates that are not valid for ${NEAR_EXPIRY_DAYS} days more`;
  return code === undefined
    ? undefined
    : findingOf(
        code,
        message,
        problems.map(({ line }) => line),
      );
}

const day = (date: Date): string => date.toISOString().slice(0, 10);

function validityProblem({ notAfter, notBefore }: Certificate, now: Date) {
  const left = notAfter.getTime() - now.getTime();
  if (left < 0) return { code: "certificate.expired", text: `expired on ${day(notAfter)}` };
  if (now < notBefore) return { code: "certificate.not-yet-valid", text: `valid from ${day(notBefore)} on` };
  if (left < NEAR_EXPIRY_DAYS * DAY) return { code: "certificate.near-expiry", text: `expires on ${day(notAfter)}` };
  return undefined;
}
