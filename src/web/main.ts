/** The page: where one is, who one is, and what the service says has changed. */
import type { ApproverView, RequestDetails, SessionView } from "../model/signing-service/api.ts";
import { isOwnIdentifier } from "./approval.ts";
import { listApprovers, listRequests, Refused, readRequest, readSession, signOut, watchChanges } from "./backend.ts";
import { loadKey } from "./browser-key.ts";
import { element } from "./element.ts";
import { keyView } from "./key-view.ts";
import { listView } from "./list-view.ts";
import { requestView } from "./request-view.ts";
import { signInView } from "./sign-in.ts";
import { applyStyle } from "./style.ts";

const main = element("main", { id: "main", tabindex: "-1" });
const live = element("span.live.away", { role: "status" }, "connecting");

async function start(): Promise<void> {
  applyStyle();
  document.body.replaceChildren(main);
  try {
    await run(await readSession());
  } catch (error) {
    if (error instanceof Refused) main.replaceChildren(signInView((session) => void run(session)));
    else showProblem(error);
  }
}

async function run(session: SessionView): Promise<void> {
  document.body.replaceChildren(header(session), main);
  const show = (): Promise<void> => render(session).catch(showProblem);
  let at = location.hash;
  addEventListener("hashchange", () => {
    at = location.hash;
    void show().then(() => main.focus({ preventScroll: true }));
    scrollTo(0, 0);
  });
  let queued: ReturnType<typeof setTimeout> | undefined;
  watchChanges(
    (change) => {
      // Nobody's half-written reason is to vanish because somebody else approved another request.
      if (at.startsWith("#/requests/") && at !== `#/requests/${change.id}`) return;
      clearTimeout(queued);
      queued = setTimeout(() => void show(), 100);
    },
    (connected) => {
      live.classList.toggle("away", !connected);
      live.textContent = connected ? "live" : "reconnecting";
      if (connected && !at.startsWith("#/requests/")) void show();
    },
  );
  await show();
}

async function leave(): Promise<void> {
  await signOut();
  location.reload();
}

function header({ name, role }: SessionView): HTMLElement {
  return element(
    "header.top",
    {},
    element("a.name", { href: "#/" }, "Sealwright"),
    element(
      "nav",
      { "aria-label": "Pages" },
      element("a", { href: "#/" }, "Requests"),
      role === "approver" && element("a", { href: "#/key" }, "Your key"),
    ),
    live,
    element("span.who", {}, `${name}, ${role}`),
    element("button.link", { type: "button", onclick: () => void leave() }, "Sign out"),
  );
}

async function render(session: SessionView): Promise<void> {
  const id = /^#\/requests\/([0-9a-f]{64})$/.exec(location.hash)?.[1];
  if (id !== undefined) await renderRequest(session, await readRequest(id));
  else if (location.hash === "#/key") await renderKey();
  else {
    main.replaceChildren(listView(await listRequests(), new Date()));
    document.title = "Signing requests";
  }
}

async function renderRequest(session: SessionView, details: RequestDetails): Promise<void> {
  const [key, approvers, identified] = await Promise.all([
    loadKey(),
    listApprovers(),
    isOwnIdentifier(details.request),
  ]);
  const reason = main.querySelector<HTMLInputElement>("#reason")?.value ?? "";
  const decider = {
    details,
    key,
    approvers,
    identified: identified && details.request.id === details.id,
    onDecided: (after: RequestDetails) => void renderRequest(session, after).catch(showProblem),
  };
  main.replaceChildren(requestView(decider, session, new Date()));
  const written = main.querySelector<HTMLInputElement>("#reason");
  if (written !== null) written.value = reason;
  document.title = `${details.image}: ${details.state}`;
}

async function renderKey(): Promise<void> {
  const [key, approvers]: [Awaited<ReturnType<typeof loadKey>>, readonly ApproverView[]] = await Promise.all([
    loadKey(),
    listApprovers(),
  ]);
  main.replaceChildren(keyView(key, approvers, () => void renderKey().catch(showProblem)));
  document.title = "Your key";
}

function showProblem(error: unknown): void {
  const said = error instanceof Refused ? `${error.message} (${error.code})` : String(error);
  main.replaceChildren(
    element("div.notice.bad", { role: "alert" }, element("p", {}, said)),
    element("p", {}, element("a", { href: "#/" }, "All requests")),
  );
}

void start();
