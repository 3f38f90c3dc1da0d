/** Shown to whom the service does not know yet. */
import type { SessionView } from "../model/signing-service/api.ts";
import { Refused, signIn } from "./backend.ts";
import { element } from "./element.ts";

export function signInView(onSignedIn: (session: SessionView) => void): HTMLElement {
  const token = element("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    required: true,
    placeholder: "swt_…",
    "aria-describedby": "token-hint",
  }) as HTMLInputElement;
  const problem = element("p.problem", { role: "alert" });
  const submit = async (): Promise<void> => {
    problem.textContent = "";
    try {
      onSignedIn(await signIn(token.value.trim()));
    } catch (error) {
      problem.textContent = error instanceof Refused ? `${error.message} (${error.code})` : String(error);
      token.select();
    }
  };
  const form = element(
    "form.card.narrow",
    {
      onsubmit: (event) => {
        event.preventDefault();
        void submit();
      },
    },
    element("h1", {}, "Sign in"),
    element("label", { for: "token" }, "Access token"),
    token,
    element(
      "p.faint",
      { id: "token-hint" },
      "Your operator makes one with ",
      element("code", {}, "sealwright signer token add"),
      ". It stays in a cookie that scripts cannot read. With a client certificate there is no need for it.",
    ),
    problem,
    element("button.primary", { type: "submit" }, "Sign in"),
  );
  requestAnimationFrame(() => token.focus());
  return form;
}
