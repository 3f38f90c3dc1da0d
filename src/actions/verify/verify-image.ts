/** Verifies a sealed image, link by link, offline. */
import { type PeEvidence, verifyPe } from "../../formats/authenticode/index.ts";
import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { type ComposefsArgument, findText, type Uki } from "../../formats/uki/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { showSize, toHex } from "../../lib/bytes/numbers.ts";
import { PolicyError, VerificationError } from "../../lib/errors.ts";
import type { Progress } from "../../lib/progress.ts";
import {
  COMPOSEFS_FORMATS,
  type ComposefsFormat,
  computeComposefsDigest,
  parseComposefsFormat,
} from "../../model/composefs/index.ts";
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
  requireBootableUki,
  requireSealArguments,
  type SealArguments,
} from "../../model/os/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import { requireCertificates } from "../../model/signing/load-certificates.ts";
import { toCanonicalTree } from "../../model/source/canonical-tree.ts";
import { type ImageTree, readImage } from "../../model/source/tree-source.ts";
import { checkValidity } from "../../model/verdict/check-validity.ts";
import { describeArguments, describeSigner } from "../../model/verdict/describe.ts";
import { VerdictBuilder } from "../../model/verdict/verdict.ts";
import { verifyAddons } from "./addons.ts";
import { LINKS, type Verdict } from "./verdict.ts";

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
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
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
  const db = await requireCertificates(options.certificates);
  const wanted = options.format === undefined ? undefined : parseComposefsFormat(options.format);
  const verdict = new VerdictBuilder(LINKS);
  const finish = (): Verdict => ({ image: reference, ...facts, ...verdict.finish() });
  let facts: Pick<Verdict, "digests" | "manifestDigest"> = {};
  for (const certificate of db) checkValidity(verdict, certificate, options.now);

  const read = (algorithm: VerityAlgorithm) => readEverything(reference, algorithm, options);
  await using source = await verdict.check("blobs", () => read("sha512"), describeImage);
  if (source === undefined) return finish();
  facts = { manifestDigest: source.image.manifestDigest };

  const found = await verdict.check("uki", () => findUki(source), describeUki);
  await verdict.check("boot-loader", () => verifyBootLoader(source, db), describeSigner);
  if (found === undefined) return finish();

  await verifyAddons(verdict, source, found.uki, db);
  await verdict.check("uki-signature", () => verifyPe(found.uki.pe, { db: { certificates: db } }), describeSigner);
  const given = await verdict.check("command-line", () => requireSealArguments(found.uki, options), describeArguments);
  if (given === undefined) return finish();
  for (const problem of checkCommandLine(findText(found.uki, ".cmdline") ?? "")) verdict.warn("command-line", problem);

  const digests = await verdict.check(
    "digest",
    () => requireDigests(source, given, wanted, read),
    (matched) => `${matched.map(({ hex, name }) => `${name} ${hex}`).join(", ")}, recomputed from the layers`,
  );
  if (digests !== undefined)
    facts = { ...facts, digests: Object.fromEntries(digests.map(({ hex, name }) => [name, hex])) };
  return finish();
}

/** Opens the image and reads all of it: every blob against its digest, every layer against its diff ID. */
async function readEverything(
  reference: string,
  algorithm: VerityAlgorithm,
  { platform, progress, registries, signal }: VerifyOptions,
): Promise<ImageTree> {
  const image = await openImage(reference, { registries, ...(platform && { platform }), ...(signal && { signal }) });
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
  const uki = requireBootableUki(await readFile(source, file), file.path);
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

interface MatchedDigest extends ComposefsFormat {
  readonly hex: string;
}

/** Every digest on the command line, in its own format: a host may take any of them. Changes the tree. */
async function requireDigests(
  source: ImageTree,
  given: SealArguments,
  wanted: ComposefsFormat | undefined,
  read: (algorithm: VerityAlgorithm) => Promise<ImageTree>,
): Promise<MatchedDigest[]> {
  const matched: MatchedDigest[] = [];
  for (const algorithm of new Set(given.map((argument) => argument.algorithm))) {
    await using again = algorithm === "sha512" ? null : await read(algorithm);
    const computed = await computeDigests(again ?? source, algorithm);
    for (const argument of given) {
      if (argument.algorithm === algorithm) matched.push(requireDigest(argument, computed, wanted));
    }
  }
  return matched;
}

async function computeDigests(source: ImageTree, algorithm: VerityAlgorithm): Promise<MatchedDigest[]> {
  await toCanonicalTree(source, false);
  return COMPOSEFS_FORMATS.filter((format) => format.algorithm === algorithm).map((format) => ({
    ...format,
    hex: toHex(computeComposefsDigest(source.tree, format)),
  }));
}

/** @returns the format that the argument means */
function requireDigest(
  { digestHex, version }: ComposefsArgument,
  computed: readonly MatchedDigest[],
  wanted: ComposefsFormat | undefined,
): MatchedDigest {
  const candidates = computed.filter((each) =>
    wanted === undefined ? version === undefined || hasSpelling(each, version) : each.name === wanted.name,
  );
  const match = candidates.find(({ hex }) => hex === digestHex);
  if (match !== undefined) return match;
  const found = candidates.map(({ hex, name }) => `${name} ${hex}`).join(", ");
  throw new VerificationError(
    "digest.mismatch",
    `the layers give ${found || "no digest of the wanted format"}, the command line has ${digestHex}`,
    { data: { expected: digestHex, computed: candidates.map(({ hex, name }) => ({ name, hex })) } },
  );
}

/** composefs-rs writes `v1` for formats 0 and 1. */
const hasSpelling = (format: ComposefsFormat, version: 1 | 2): boolean => (format.version === 2) === (version === 2);
