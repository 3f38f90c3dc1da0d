/** Verifies a sealed image, link by link, offline. */
import { type PeEvidence, verifyPe } from "../../formats/authenticode/index.ts";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { requireLoadable } from "../../formats/pe/index.ts";
import { type ComposefsArgument, findSection, findText, parseUki, type Uki } from "../../formats/uki/index.ts";
import { type Certificate, parseCertificates } from "../../formats/x509/index.ts";
import { showSize, toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, PolicyError, UsageError, VerificationError } from "../../lib/errors.ts";
import type { Progress } from "../../lib/progress.ts";
import {
  COMPOSEFS_FORMATS,
  type ComposefsFormat,
  computeComposefsDigest,
  parseComposefsFormat,
} from "../../model/composefs/index.ts";
import { loadFile } from "../../model/host-io/files.ts";
import { openImage } from "../../model/image/open-image.ts";
import {
  ARCHITECTURES,
  type Architecture,
  checkBootLoader,
  checkCommandLine,
  findArchitecture,
  findBootLoader,
  findUkis,
  type OsFile,
  requireDigestArgument,
} from "../../model/os/index.ts";
import { type ImageTree, readImage } from "../../model/source/tree-source.ts";
import { toBootTree, toOciTree } from "../../model/tree/transform.ts";
import { type Verdict, VerdictBuilder } from "./verdict.ts";

export interface VerifyOptions {
  /** Files with certificates of the Secure Boot db, PEM or DER; at least one. */
  readonly certificates: readonly string[];
  /** Only this format of the digest. Default: whichever fits. */
  readonly format?: string | undefined;
  /** Accept `composefs=?`. */
  readonly allowMissingVerity?: boolean;
  /** For the validity of the certificates, which firmware does not look at. */
  readonly now: Date;
  readonly platform?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/**
 * Reads every byte of an image and follows the chain from the certificates to every file. The layer cache is not used.
 *
 * @returns what holds and what does not; a broken link hides none of those that can be checked without it
 * @throws {UsageError} `verify.certificate-missing`, `composefs.format.unknown`
 * @throws {FormatError} when a certificate cannot be read
 */
export async function verifyImage(reference: string, options: VerifyOptions): Promise<Verdict> {
  const db = await loadCertificates(options.certificates);
  const wanted = options.format === undefined ? undefined : parseComposefsFormat(options.format);
  const verdict = new VerdictBuilder(reference);
  for (const certificate of db) checkValidity(verdict, certificate, options.now);

  const read = (algorithm: VerityAlgorithm) => readEverything(reference, algorithm, options);
  await using source = await verdict.check("blobs", () => read("sha512"), describeImage);
  if (source === undefined) return verdict.finish();
  verdict.manifestDigest = source.image.manifestDigest;

  const found = await verdict.check("uki", () => findUki(source), describeUki);
  await verdict.check("boot-loader", () => verifyBootLoader(source, db), describeSigner);
  if (found === undefined) return verdict.finish();

  await verdict.check("uki-signature", () => verifyPe(found.uki.pe, { db: { certificates: db } }), describeSigner);
  const argument = await verdict.check("command-line", () => requireSealArgument(found.uki, options), describeArgument);
  if (argument === undefined) return verdict.finish();
  for (const problem of checkCommandLine(findText(found.uki, ".cmdline") ?? "")) verdict.warn("command-line", problem);

  await verdict.check(
    "digest",
    async () => {
      if (argument.algorithm === "sha512") return await requireDigest(source, argument, wanted);
      await using again = await read(argument.algorithm);
      return await requireDigest(again, argument, wanted);
    },
    ({ hex, name }) => `${name} ${hex}, recomputed from the layers`,
  );
  return verdict.finish();
}

/** Safety limit for files with certificates. */
const MAX_CERTIFICATE_FILE_SIZE = 1 << 20;

async function loadCertificates(paths: readonly string[]): Promise<Certificate[]> {
  const certificates: Certificate[] = [];
  for (const path of paths) {
    const what = `certificate ${path}`;
    const bytes = await loadFile(path, what, MAX_CERTIFICATE_FILE_SIZE, "x509.file-too-large");
    const found = parseCertificates(bytes, what);
    if (found.length === 0) {
      throw new FormatError("x509.pem.count", { what, expected: "a certificate, in DER or PEM", found: "none" });
    }
    certificates.push(...found);
  }
  if (certificates.length > 0) return certificates;
  throw new UsageError("verify.certificate-missing", "no certificate to verify against", {
    hint: "name the certificate of your db with --cert keys/db.crt",
  });
}

function checkValidity(verdict: VerdictBuilder, { notAfter, notBefore, subject }: Certificate, now: Date): void {
  const until = notAfter.toISOString().slice(0, 10);
  if (now > notAfter) {
    const message = `"${subject}" expired on ${until}; firmware does not look at that, other verifiers do`;
    verdict.warn("certificate", { code: "certificate.expired", message });
  } else if (now < notBefore) {
    const message = `"${subject}" is valid from ${notBefore.toISOString().slice(0, 10)} on`;
    verdict.warn("certificate", { code: "certificate.not-yet-valid", message });
  } else {
    verdict.holds("certificate", `${subject}, valid until ${until}`);
  }
}

/** Opens the image and reads all of it: every blob against its digest, every layer against its diff ID. */
async function readEverything(
  reference: string,
  algorithm: VerityAlgorithm,
  { platform, progress, signal }: VerifyOptions,
): Promise<ImageTree> {
  const image = await openImage(reference, { ...(platform && { platform }), ...(signal && { signal }) });
  return await readImage(image, { algorithms: [algorithm], progress, signal });
}

function describeImage({ image }: ImageTree): string {
  const size = image.layers.reduce((sum, layer) => sum + layer.size, 0);
  return `${image.layers.length} layers, ${showSize(size)}, blobs and diff IDs as named by ${image.manifestDigest}`;
}

interface FoundUki {
  readonly path: string;
  readonly uki: Uki;
}

/** What a host boots (bootc specification, 1.2 S1 and S2). */
const NEEDED_SECTIONS = [".linux", ".initrd", ".cmdline", ".osrel"];

async function findUki(source: ImageTree): Promise<FoundUki> {
  const [file, ...more] = findUkis(source.tree).filter(({ kind }) => kind === "uki");
  if (file === undefined) {
    throw new VerificationError("uki.missing", "found no UKI in /boot/EFI/Linux, expected one", {
      hint: "the image is not sealed: seal it with sealwright seal",
    });
  }
  if (more.length > 0) {
    const paths = [file, ...more].map(({ path }) => path);
    throw new PolicyError("uki.several", `found ${paths.length} UKIs (${paths.join(", ")}), expected one`, {
      data: { paths },
    });
  }
  const uki = parseUki(await readFile(source, file));
  requireLoadable(uki.pe);
  const missing = NEEDED_SECTIONS.filter((name) => findSection(uki, name) === undefined);
  if (missing.length > 0) {
    const what = `${file.path}: sections`;
    const expected = NEEDED_SECTIONS.join(" ");
    throw new FormatError("uki.section.missing", { what, expected, found: `no ${missing.join(" ")}` });
  }
  return { path: file.path, uki };
}

async function readFile(source: ImageTree, { content }: OsFile): Promise<Uint8Array> {
  const [bytes] = await source.read([content]);
  return bytes as Uint8Array;
}

function describeUki({ path, uki }: FoundUki): string {
  const version = findText(uki, ".uname");
  return `${path}${version === undefined ? "" : `, kernel ${version}`}`;
}

/** Every profile boots the same tree: the digest of one that says another would never be checked. */
function requireSealArgument(uki: Uki, options: VerifyOptions): ComposefsArgument {
  const count = Math.max(1, uki.profiles.length);
  const found = Array.from({ length: count }, (_, profile) =>
    requireDigestArgument(findText(uki, ".cmdline", profile) ?? "", options),
  );
  const [first, ...others] = found as [ComposefsArgument, ...ComposefsArgument[]];
  const other = others.find(({ digestHex }) => digestHex !== first.digestHex);
  if (other === undefined) return first;
  throw new PolicyError("uki.cmdline.digest-several", "the profiles of the UKI name different digests, expected one", {
    data: { digests: found.map(({ digestHex }) => digestHex) },
  });
}

function describeArgument({ digestHex, form, optional }: ComposefsArgument): string {
  return `${form}=${optional ? "?" : ""}${digestHex.slice(0, 16)}..., one digest${optional ? "" : ", fs-verity required"}`;
}

function describeSigner(evidence: PeEvidence): string {
  const digest = `Authenticode ${toHex(evidence.digest).slice(0, 16)}...`;
  return evidence.by === "certificate" ? `signed by ${evidence.signer.subject}, ${digest}` : digest;
}

async function verifyBootLoader(source: ImageTree, db: readonly Certificate[]): Promise<PeEvidence> {
  const architecture = requireArchitecture(source);
  const problem = checkBootLoader(source.tree, architecture).find(({ code }) => code !== "image.stub-missing");
  if (problem !== undefined) {
    throw new PolicyError(problem.code, problem.message, problem.hint === undefined ? {} : { hint: problem.hint });
  }
  const file = findBootLoader(source.tree, architecture).systemdBoot as OsFile;
  return verifyPe(await readFile(source, file), { db: { certificates: db } });
}

function requireArchitecture({ image }: ImageTree): Architecture {
  const { architecture } = image.config;
  const found = findArchitecture(architecture);
  if (found !== undefined) return found;
  const known = ARCHITECTURES.map(({ oci }) => oci).join(", ");
  throw new PolicyError("image.architecture-unsupported", `found architecture "${architecture}", expected ${known}`);
}

interface MatchedDigest {
  /** Name of the format. */
  readonly name: string;
  readonly hex: string;
}

/** Recomputes the digest in every format that the argument can mean; changes the tree. */
async function requireDigest(
  source: ImageTree,
  argument: ComposefsArgument,
  wanted: ComposefsFormat | undefined,
): Promise<MatchedDigest> {
  await toBootTree(toOciTree(source.tree), async (content) => {
    const [bytes] = await source.read([content]);
    return bytes as Uint8Array;
  });
  const candidates = COMPOSEFS_FORMATS.filter(
    (format) =>
      format.algorithm === argument.algorithm &&
      (wanted === undefined
        ? argument.version === undefined || format.version === argument.version
        : format === wanted),
  );
  const computed = candidates.map((format) => ({
    name: format.name,
    hex: toHex(computeComposefsDigest(source.tree, format)),
  }));
  const match = computed.find(({ hex }) => hex === argument.digestHex);
  if (match !== undefined) return match;
  const found = computed.map(({ hex, name }) => `${name} ${hex}`).join(", ");
  throw new VerificationError(
    "digest.mismatch",
    `the layers give ${found || "no digest of the wanted format"}, the command line has ${argument.digestHex}`,
    { data: { expected: argument.digestHex, computed } },
  );
}
