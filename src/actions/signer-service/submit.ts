/** What builders do: bring a request to the service, and fetch its signatures. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  encodeSigningRequest,
  FILES,
  listRequestFiles,
  SIGNATURES,
  type SigningRequest,
} from "../../formats/signing-request/index.ts";
import { FormatError, InterruptedError, PolicyError, quote, ServiceError, UsageError } from "../../lib/errors.ts";
import { type Progress, silent } from "../../lib/progress.ts";
import { streamFile } from "../../model/host-io/files.ts";
import { loadSigningRequest, storeRawSignature } from "../../model/signing-request/index.ts";
import {
  type RequestDetails,
  type ServiceAddress,
  ServiceClient,
  type SignatureView,
} from "../../model/signing-service/index.ts";

export interface ClientOptions extends ServiceAddress {
  readonly progress?: Progress | undefined;
}

export interface SubmitReport {
  readonly directory: string;
  readonly request: RequestDetails;
}

/**
 * Submits the request of a directory with the files that the service asks for. Doing so twice is doing it once.
 *
 * @throws as `loadSigningRequest`; {ServiceError} with the code of what the service refuses
 */
export async function submitDirectory(directory: string, options: ClientOptions): Promise<SubmitReport> {
  const { progress = silent } = options;
  const request = await loadSigningRequest(directory);
  await using client = await ServiceClient.open(options);
  progress({ step: "signer.submit", text: `submitting request ${request.id}` });
  const submitted = await client.submit(encodeSigningRequest(request));
  if (submitted.missing.length === 0) return { directory, request: submitted };
  for (const name of submitted.missing) {
    const { size } = requireFile(request, name);
    progress({ step: "signer.upload", text: `sending ${name}` });
    const content = streamFile(join(directory, FILES, name), 0, size, `file ${quote(name)} of the signing request`);
    await client.putFile(request.id, name, size, content);
  }
  return { directory, request: await client.find(request.id) };
}

/** A service gets the files of the request, and no other that it names. */
function requireFile(request: SigningRequest, name: string) {
  const file = listRequestFiles(request).find((each) => each.name === name);
  if (file !== undefined) return file;
  throw new UsageError("service.file-unknown", `the service asks for ${quote(name)}, which is no file of the request`);
}

export interface FetchOptions extends ClientOptions {
  /** Until it is signed, or will not be. */
  readonly wait: boolean;
}

export interface FetchReport {
  readonly directory: string;
  readonly request: RequestDetails;
  /** Names in `signatures/`. */
  readonly files: readonly string[];
}

/** Between two questions whether it is signed: twice as long each time. */
const FIRST_POLL_MS = 100;
const MAX_POLL_MS = 3000;

/**
 * Fetches the signatures of a directory's request into it. They are verified by `seal --attach`, not here.
 *
 * @throws {PolicyError} with the service's code when the request was refused or rejected, `service.request-expired`
 * @throws {ServiceError} `service.not-signed` without `wait`
 */
export async function fetchSignatures(directory: string, options: FetchOptions): Promise<FetchReport> {
  const request = await loadSigningRequest(directory);
  await using client = await ServiceClient.open(options);
  const signed = options.wait ? await untilDecided(client, request.id, options) : await client.find(request.id);
  requireSigned(signed);
  const { signatures } = await client.signatures(request.id);
  for (const signature of signatures) await storeSignature(directory, request, signature);
  return { directory, request: signed, files: signatures.map(({ file }) => `${SIGNATURES}/${file}`) };
}

async function untilDecided(client: ServiceClient, id: string, options: FetchOptions): Promise<RequestDetails> {
  const { progress = silent, signal } = options;
  for (let pause = FIRST_POLL_MS; ; pause = Math.min(2 * pause, MAX_POLL_MS)) {
    const found = await findPatiently(client, id);
    if (found !== undefined) {
      if (["signed", "refused", "rejected", "expired"].includes(found.state)) return found;
      progress({ step: "signer.wait", text: describeState(found) });
    }
    await sleep(pause, undefined, signal === undefined ? {} : { signal }).catch(() => {
      throw new InterruptedError();
    });
  }
}

/** A service that restarts is no reason to fail a build. */
async function findPatiently(client: ServiceClient, id: string): Promise<RequestDetails | undefined> {
  try {
    return await client.find(id);
  } catch (error) {
    if (error instanceof ServiceError && error.data["temporary"] === true) return undefined;
    throw error;
  }
}

/** For people. */
export function describeState({ decisions, quorum, refusal, state }: RequestDetails): string {
  const approved = decisions.filter(({ verdict }) => verdict === "approved").length;
  const waiting = quorum === null ? "" : `, ${approved} of ${quorum} approvals`;
  return `the request is ${state}${state === "waiting" ? waiting : ""}${refusal === null ? "" : `: ${refusal.message}`}`;
}

function requireSigned(request: RequestDetails): void {
  const { id, refusal, state } = request;
  if (state === "signed") return;
  const message = `request ${id}: ${describeState(request)}`;
  const data = { id, state };
  const hint = refusal?.hint === undefined ? {} : { hint: refusal.hint };
  if (state === "refused" || state === "rejected") {
    throw new PolicyError(refusal?.code ?? "service.rejected", message, { data, ...hint });
  }
  if (state === "expired") throw new PolicyError("service.request-expired", message, { data, hint: "submit it again" });
  throw new ServiceError("service.not-signed", message, { data, hint: "wait for it with --wait" });
}

const SUFFIX = ".sig";

/** The service names a file; where it goes is the request's. */
async function storeSignature(
  directory: string,
  { items }: SigningRequest,
  { bytes, file }: SignatureView,
): Promise<void> {
  const item = items.find(({ name }) => `${name}${SUFFIX}` === file);
  if (item === undefined) {
    throw new FormatError("service.answer", {
      what: "answer of the signing service",
      expected: "signatures of the request's items",
      found: quote(file),
    });
  }
  await storeRawSignature(directory, item.name, Buffer.from(bytes, "base64"));
}
