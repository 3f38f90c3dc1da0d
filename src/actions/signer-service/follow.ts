/** What approvers and auditors do from a command line. */
import { MAX_APPROVAL_SIZE, parseApproval } from "../../formats/signing-request/index.ts";
import { headPath } from "../../model/audit-log/index.ts";
import { loadFile, storeFile } from "../../model/host-io/files.ts";
import {
  type RequestDetails,
  type RequestView,
  type ServiceAddress,
  ServiceClient,
} from "../../model/signing-service/index.ts";

export async function listServiceRequests(
  states: readonly string[],
  address: ServiceAddress,
): Promise<readonly RequestView[]> {
  await using client = await ServiceClient.open(address);
  return (await client.list(states)).requests;
}

/**
 * Brings a signed decision to the service: what `sign-request --approve` has written.
 *
 * @throws as `parseApproval`; {ServiceError} with the code of what the service refuses
 */
export async function sendDecision(path: string, address: ServiceAddress): Promise<RequestDetails> {
  const bytes = await loadFile(path, `approval ${path}`, MAX_APPROVAL_SIZE, "approval.malformed");
  const { request } = parseApproval(bytes);
  await using client = await ServiceClient.open(address);
  return await client.decide(request, bytes);
}

export interface AuditReport {
  readonly log: string;
  readonly head: string;
  readonly entries: number;
}

/** Writes the service's audit log and its head into files, as `sealwright audit verify` takes them. */
export async function fetchAudit(
  path: string,
  address: ServiceAddress & { readonly overwrite: boolean },
): Promise<AuditReport> {
  await using client = await ServiceClient.open(address);
  // The head first: the log may go further, and never less far.
  const head = await client.auditHead();
  const log = await client.audit();
  await storeFile(path, log, { overwrite: address.overwrite });
  await storeFile(headPath(path), head, { overwrite: true });
  return { log: path, head: headPath(path), entries: Buffer.from(log).toString().split("\n").length - 1 };
}
