/** The API of the service this page came from. */
import type {
  ApproverView,
  ChangeEvent,
  FailureBody,
  RequestDetails,
  RequestView,
  SessionView,
} from "../model/signing-service/api.ts";

/** A refusal of the service. */
export class Refused extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor({ code, hint, message }: FailureBody["error"]) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

async function call<T>(path: string, init: RequestInit = {}): Promise<T> {
  const answer = await fetch(`/api/v1/${path}`, { ...init, cache: "no-store" });
  if (answer.status === 204) return undefined as T;
  const body = (await answer.json()) as T | FailureBody;
  if (answer.ok) return body as T;
  throw new Refused((body as FailureBody).error);
}

export const readSession = (): Promise<SessionView> => call("session");

export const signIn = (token: string): Promise<SessionView> =>
  call("session", { method: "POST", headers: { authorization: `Bearer ${token}` } });

export const signOut = (): Promise<void> => call("session", { method: "DELETE" });

export async function listRequests(): Promise<readonly RequestView[]> {
  return (await call<{ requests: readonly RequestView[] }>("requests")).requests;
}

export const readRequest = (id: string): Promise<RequestDetails> => call(`requests/${encodeURIComponent(id)}`);

export async function listApprovers(): Promise<readonly ApproverView[]> {
  return (await call<{ approvers: readonly ApproverView[] }>("approvers")).approvers;
}

/** @param approval signed, as JSON */
export const sendDecision = (id: string, approval: string): Promise<RequestDetails> =>
  call(`requests/${encodeURIComponent(id)}/decisions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: approval,
  });

/** Says what changes; comes back by itself after an interruption, and then says so. */
export function watchChanges(
  onChange: (change: ChangeEvent) => void,
  onConnected: (connected: boolean) => void,
): () => void {
  const source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => onConnected(true));
  source.addEventListener("error", () => onConnected(false));
  source.addEventListener("change", (event) => onChange(JSON.parse(event.data as string) as ChangeEvent));
  return () => source.close();
}
