/** The approver's key: making it, and what the operator has to know of it. */
import type { ApproverView } from "../model/signing-service/api.ts";
import { type BrowserKey, makeKey } from "./browser-key.ts";
import { badge, code, element, facts } from "./element.ts";

export function keyView(
  key: BrowserKey | undefined,
  approvers: readonly ApproverView[],
  onMade: () => void,
): HTMLElement {
  const me = approvers.find(({ publicKey }) => publicKey === key?.fingerprint);
  return element(
    "div",
    {},
    element("a.back", { href: "#/" }, "← All requests"),
    element("h1", {}, "Your key"),
    key === undefined ? withoutKey(onMade) : withKey(key, me, onMade),
  );
}

function withoutKey(onMade: () => void): HTMLElement {
  return element(
    "section.card",
    {},
    element(
      "p",
      {},
      "Decisions are signed in your browser, with a key that never leaves it: not even this page can read it. It lives in the data of this browser profile; when you clear that, you make a new one.",
    ),
    element(
      "div.actions",
      {},
      element("button.primary", { type: "button", onclick: () => void makeKey().then(onMade) }, "Make a key"),
    ),
  );
}

function withKey(key: BrowserKey, me: ApproverView | undefined, onMade: () => void): HTMLElement {
  const again = element("button.link", { type: "button" }, "Make a new key");
  again.addEventListener("click", () => {
    if (again.dataset["sure"] === "yes") void makeKey().then(onMade);
    again.dataset["sure"] = "yes";
    again.textContent = "The key of now is gone then. Make a new one";
  });
  return element(
    "section.card",
    {},
    facts([
      ["kind", "ECDSA on P-256, cannot be exported"],
      ["fingerprint", code(key.fingerprint)],
      [
        "policy",
        me === undefined
          ? badge("warn", "does not know it yet")
          : [badge("good", "knows it"), " as ", element("strong", {}, me.name)],
      ],
    ]),
    me === undefined &&
      element(
        "p",
        {},
        "Give this public key to the operator of the service, on a way on which nobody can swap it, and compare the fingerprint:",
      ),
    element("pre", { tabindex: "0", "aria-label": "Public key, PEM" }, key.publicPem),
    element("p", {}, again),
  );
}
