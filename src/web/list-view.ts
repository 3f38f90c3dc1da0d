/** All requests, those that wait for somebody first. */
import type { RequestState, RequestView } from "../model/signing-service/api.ts";
import { badge, type Child, element } from "./element.ts";
import { approvalsOf, exactTime, fromNow, STATES } from "./words.ts";

const GROUPS: readonly (readonly [title: string, states: readonly RequestState[]])[] = [
  ["Waiting for approval", ["waiting"]],
  ["In work", ["receiving", "reviewing", "signing"]],
  ["Done", ["signed", "rejected", "refused", "expired"]],
];

export function listView(requests: readonly RequestView[], now: Date): HTMLElement {
  const groups = GROUPS.map(([title, states]) => ({
    title,
    found: requests.filter(({ state }) => states.includes(state)),
  }));
  return element(
    "div",
    {},
    element("h1", {}, "Signing requests"),
    requests.length === 0 && empty(),
    groups.map(({ found, title }) => found.length > 0 && group(title, found, now)),
  );
}

function empty(): HTMLElement {
  return element(
    "div.card.empty",
    {},
    element("p", {}, "No request yet."),
    element(
      "p.faint",
      {},
      "Builders submit one with ",
      element("code", {}, "sealwright signer submit DIR --server URL"),
      ".",
    ),
  );
}

function group(title: string, requests: readonly RequestView[], now: Date): Child {
  const id = `group-${title.replaceAll(" ", "-").toLowerCase()}`;
  return element(
    "section",
    { "aria-labelledby": id },
    element("h2", { id }, title, " ", element("span.count", {}, requests.length)),
    element(
      "ul.requests",
      {},
      requests.map((request) => element("li", {}, row(request, now))),
    ),
  );
}

function row(request: RequestView, now: Date): HTMLElement {
  const { builder, id, image, state, submittedAt } = request;
  const { label, tone } = STATES[state];
  return element(
    "a.request",
    { href: `#/requests/${id}` },
    element("span.image", {}, image),
    badge(tone, label),
    element(
      "span.about",
      {},
      element("code", {}, id.slice(0, 12)),
      ` by ${builder}, `,
      element("time", { datetime: submittedAt, title: exactTime(submittedAt) }, fromNow(submittedAt, now)),
    ),
    element("span.progress", {}, progressOf(request, now)),
  );
}

function progressOf(request: RequestView, now: Date): string {
  const { expiresAt, quorum, refusal, state } = request;
  if (state === "waiting") return `${approvalsOf(request)} of ${quorum} approvals, expires ${fromNow(expiresAt, now)}`;
  return refusal?.message ?? "";
}
