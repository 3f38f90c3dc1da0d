/** The directory of a signing request. What is in it came from others: nothing is followed out of it. */
import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  APPROVALS,
  type Approval,
  encodeApproval,
  encodeSigningRequest,
  FILES,
  MAX_APPROVAL_SIZE,
  MAX_FILE_SIZE,
  MAX_REQUEST_SIZE,
  parseApproval,
  parseSigningRequest,
  REQUEST_FILE,
  type RequestFile,
  SIGNATURES,
  type SigningRequest,
  TO_BE_SIGNED,
} from "../../formats/signing-request/index.ts";
import { FormatError, NotFoundError, quote, SealwrightError, VerificationError } from "../../lib/errors.ts";
import { errnoOf, inputError, outputError, outputExists } from "../host-io/errors.ts";
import { exists, loadFile, storeFile, syncDirectory } from "../host-io/files.ts";
import { openTempDirBeside } from "../host-io/temp.ts";

/**
 * @throws {NotFoundError} `signing-request.absent`
 * @throws as `parseSigningRequest`; {FormatError} `signing-request.too-large`
 */
export async function loadSigningRequest(directory: string): Promise<SigningRequest> {
  const path = join(directory, REQUEST_FILE);
  try {
    await requireNoLink(path);
    return parseSigningRequest(await loadFile(path, "signing request", MAX_REQUEST_SIZE, "signing-request.too-large"));
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new NotFoundError("signing-request.absent", `${quote(directory)}: there is no ${REQUEST_FILE} in it`, {
      cause: error,
      hint: "make a request with: sealwright seal IMAGE --prepare DIR --cert FILE",
    });
  }
}

export interface StoreRequestOptions {
  /** Replace a request that is there. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the directory of a request, whole or not at all.
 *
 * @param files by name
 * @throws {InputOutputError} `output.exists`, `output.unwritable`, `output.no-space`
 * @throws {FormatError} as `parseSigningRequest`
 */
export async function storeSigningRequest(
  directory: string,
  request: SigningRequest,
  files: ReadonlyMap<string, Uint8Array>,
  options: StoreRequestOptions = {},
): Promise<void> {
  const place = join(dirname(directory), basename(directory));
  const document = encodeSigningRequest(request);
  // What cannot be read again is not written: an image can have a name that no request takes.
  parseSigningRequest(document);
  const write = options.signal === undefined ? {} : { signal: options.signal };
  const taken = await exists(place);
  if (taken && options.overwrite !== true && (await readdirOf(place)).length > 0) {
    throw outputExists(place, "choose another name, or ask to overwrite");
  }
  await using temp = await openTempDirBeside(place);
  for (const name of [FILES, TO_BE_SIGNED, SIGNATURES, APPROVALS]) await mkdir(join(temp.path, name));
  for (const [name, bytes] of files) await storeFile(join(temp.path, FILES, name), bytes, write);
  for (const { name, toBeSigned } of request.items) {
    await storeFile(join(temp.path, TO_BE_SIGNED, name), Buffer.from(toBeSigned, "base64"), write);
  }
  await storeFile(join(temp.path, REQUEST_FILE), document, write);
  try {
    await using old = await openTempDirBeside(place);
    if (taken) await rename(place, join(old.path, "old"));
    await rename(temp.path, place);
    await syncDirectory(dirname(place));
  } catch (error) {
    throw outputError(error, place);
  }
}

/**
 * Reads a file of a request: the one that the request means.
 *
 * @throws {NotFoundError} `signing-request.file-missing`
 * @throws {VerificationError} `signing-request.file-differs`
 */
export async function loadRequestFile(directory: string, { name, sha256, size }: RequestFile): Promise<Uint8Array> {
  const path = join(directory, FILES, name);
  const what = `file ${quote(name)} of the signing request`;
  const bytes = await loadOptional(path, what, MAX_FILE_SIZE);
  if (bytes === undefined) throw new NotFoundError("signing-request.file-missing", `${what}: not in ${FILES}/`);
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found === sha256 && bytes.length === size) return bytes;
  throw new VerificationError(
    "signing-request.file-differs",
    `${what}: found ${bytes.length} bytes with SHA-256 ${found}, expected ${size} bytes with ${sha256}`,
    { data: { name, found, expected: sha256 } },
  );
}

/** What somebody put into `signatures/` for an item; none of it is verified. */
export interface BroughtSignature {
  /** `raw`: the bytes of the signature; `pkcs7`: in its PKCS #7; `pe`: in the PE file. */
  readonly kind: "raw" | "pkcs7" | "pe";
  readonly file: string;
  readonly bytes: Uint8Array;
}

/** Forms of a signature by their suffix, in the order in which they are looked for. */
const FORMS = [
  { kind: "raw", suffix: ".sig", maxSize: 4096 },
  { kind: "pkcs7", suffix: ".p7s", maxSize: 64 << 10 },
  { kind: "pe", suffix: "", maxSize: MAX_FILE_SIZE },
] as const;

/** @returns nothing when there is none */
export async function loadBroughtSignature(directory: string, name: string): Promise<BroughtSignature | undefined> {
  for (const { kind, maxSize, suffix } of FORMS) {
    const file = `${SIGNATURES}/${name}${suffix}`;
    const bytes = await loadOptional(join(directory, file), `signature ${quote(file)}`, maxSize);
    if (bytes !== undefined) return { kind, file, bytes };
  }
  return undefined;
}

/** Writes a raw signature for an item. One that is there is replaced: it is the same, or was wrong. */
export async function storeRawSignature(directory: string, name: string, signature: Uint8Array): Promise<void> {
  await storeInto(directory, SIGNATURES, `${name}.sig`, signature);
}

/** Safety limit: people. */
const MAX_APPROVALS = 64;

/** An approval as it lies in the directory, or why it cannot be read. */
export type FoundApproval = { readonly file: string } & (
  | { readonly approval: Approval }
  | { readonly problem: SealwrightError }
);

/** Every file in `approvals/`, by name. None is verified. */
export async function loadApprovals(directory: string): Promise<FoundApproval[]> {
  const place = join(directory, APPROVALS);
  if (!(await exists(place))) return [];
  await requireNoLink(place);
  const names = (await readdirOf(place)).filter((name) => name.endsWith(".json")).sort();
  if (names.length > MAX_APPROVALS) {
    const found = `${names.length}`;
    throw new FormatError("approval.too-many", { what: "approvals", expected: `at most ${MAX_APPROVALS}`, found });
  }
  const approvals: FoundApproval[] = [];
  for (const name of names) {
    const file = `${APPROVALS}/${name}`;
    try {
      const bytes = await loadOptional(join(place, name), `approval ${quote(file)}`, MAX_APPROVAL_SIZE);
      if (bytes !== undefined) approvals.push({ file, approval: parseApproval(bytes) });
    } catch (problem) {
      if (!(problem instanceof SealwrightError)) throw problem;
      approvals.push({ file, problem });
    }
  }
  return approvals;
}

/** Writes the approval of its approver, in the place of an earlier one. */
export async function storeApproval(directory: string, approval: Approval): Promise<string> {
  return await storeInto(directory, APPROVALS, `${approval.approver}.json`, encodeApproval(approval));
}

async function storeInto(directory: string, place: string, name: string, bytes: Uint8Array): Promise<string> {
  const folder = join(directory, place);
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw outputError(error, folder);
  });
  await requireNoLink(folder);
  await storeFile(join(folder, name), bytes, { overwrite: true });
  return `${place}/${name}`;
}

async function loadOptional(path: string, what: string, maxSize: number): Promise<Uint8Array | undefined> {
  if (!(await exists(path))) return undefined;
  await requireNoLink(dirname(path));
  await requireNoLink(path);
  return await loadFile(path, what, maxSize, "signing-request.too-large");
}

/** A request that came as an archive may hold links; none of them is ours. */
async function requireNoLink(path: string): Promise<void> {
  const stat = await lstat(path).catch((error: unknown) => {
    throw inputError(error, "signing request", path);
  });
  if (!stat.isSymbolicLink()) return;
  throw new FormatError("signing-request.path", {
    what: `signing request: ${quote(path)}`,
    expected: "a file or a directory",
    found: "a symbolic link",
  });
}

async function readdirOf(path: string): Promise<string[]> {
  return await readdir(path).catch((error: unknown) => {
    if (errnoOf(error) === "ENOTDIR") throw outputExists(path, "it is a file: choose another name");
    throw inputError(error, "directory", path);
  });
}
