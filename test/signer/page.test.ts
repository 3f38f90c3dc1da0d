/** An approver in a real browser. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parsePublicKey } from "../../src/formats/x509/index.ts";
import { openTempDir, type TempDir } from "../../src/model/host-io/temp.ts";
import { addToken, openSigningQueue } from "../../src/model/signing-queue/index.ts";
import { ServiceClient } from "../../src/model/signing-service/index.ts";
import { TestApprover } from "./approver.ts";
import { startBrowser, type TestBrowser } from "./browser.ts";
import { TestAuthority } from "./certificates.ts";
import { FULL_REVIEW } from "./review.ts";
import { makeTestRequest, StandInDesk } from "./stand-in.ts";
import { startService, type TestService } from "./start-service.ts";

const bob = new TestApprover("bob");

let temp: TempDir;
let desk: StandInDesk;
let service: TestService;
let browser: TestBrowser;
let builder: ServiceClient;
let approver: ServiceClient;
let aliceToken: string;

beforeAll(async () => {
  temp = await openTempDir();
  const authority = new TestAuthority(join(temp.path, "authority"));
  const server = authority.issue("server");
  const place = join(temp.path, "queue.db");
  const queue = await openSigningQueue(place);
  const builderToken = await addToken(queue, { name: "ci", role: "builder" }, new Date(), randomBytes);
  const bobToken = await addToken(queue, { name: "bob", role: "approver" }, new Date(), randomBytes);
  aliceToken = await addToken(queue, { name: "alice", role: "approver" }, new Date(), randomBytes);
  await queue[Symbol.asyncDispose]();
  desk = new StandInDesk({ approvers: [bob], quorum: 2, review: FULL_REVIEW });
  service = await startService({ queue: place, desk, authority, server });
  const client = { url: service.url, authority: authority.certificate };
  builder = await ServiceClient.open({ ...client, token: builderToken });
  approver = await ServiceClient.open({ ...client, token: bobToken });
  browser = await startBrowser(server.certificate);
});

afterAll(async () => {
  for (const each of [browser, builder, approver, service, temp]) await each?.[Symbol.asyncDispose]();
});

/** What a page complained about. */
function complaints(page: Page): string[] {
  const said: string[] = [];
  page.on("pageerror", (error) => said.push(error.message));
  page.on("console", (message) => {
    // A browser tells of each answer that is a refusal.
    if (message.type() === "error" && !message.text().includes("status of 401")) said.push(message.text());
  });
  return said;
}

async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Signing requests" }).waitFor();
}

async function submit(image: string): Promise<string> {
  const { document, id } = makeTestRequest(image);
  await builder.submit(document);
  while ((await builder.find(id)).state !== "waiting") await new Promise((resolve) => setTimeout(resolve, 20));
  return id;
}

async function untilSigned(id: string): Promise<void> {
  while ((await builder.find(id)).state !== "signed") await new Promise((resolve) => setTimeout(resolve, 20));
}

test("an approver makes a key, sees what changed, approves, and the builder gets the signature", async () => {
  const id = await submit("registry.example/os:2026.47");
  const page = await browser.open(service.url);
  const said = complaints(page);
  await page.getByLabel("Access token").fill("swt_alice.wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").filter({ hasText: "service.token-wrong" }).waitFor();
  await signIn(page, aliceToken);

  await page.getByText("registry.example/os:2026.47").click();
  await page.getByText("This browser has no key to sign with yet.").waitFor();
  await page.getByRole("link", { name: "Make one" }).click();
  await page.getByRole("button", { name: "Make a key" }).click();
  const pem = (await page.getByLabel("Public key, PEM").textContent()) ?? "";
  const key = parsePublicKey(Buffer.from(pem.replaceAll(/-----.*-----|\s/g, ""), "base64"));
  await page.getByText("does not know it yet").waitFor();
  // What the operator does: the policy knows the key now.
  desk.approverList = [bob, { name: "alice", key }];

  await page.goto(`${service.url}/#/requests/${id}`);
  await page.getByText("computed in this browser").waitFor();
  for (const shown of ["set-uid root", "telemetry.service", "3.5.4-1", "lint.var-log", "console=ttyS0", "2026.46"]) {
    expect(await page.getByText(shown).first().isVisible(), shown).toBe(true);
  }
  // The other approval comes while the page is open, and is shown by itself.
  await page.getByLabel("Reason").fill("as announced");
  await approver.decide(id, bob.decide(id));
  await page.getByText("bob approved").waitFor();
  expect(await page.getByLabel("Reason").inputValue()).toBe("as announced");
  await page.getByRole("button", { name: "Approve" }).click();
  await page.getByText("signed", { exact: true }).waitFor();
  await untilSigned(id);
  expect((await builder.signatures(id)).signatures).toHaveLength(1);
  expect((await builder.find(id)).decisions).toMatchObject([
    { approver: "bob", verdict: "approved" },
    { approver: "alice", verdict: "approved", reason: "as announced" },
  ]);

  const second = await submit("registry.example/os:2026.48");
  await page.goto(`${service.url}/#/requests/${second}`);
  await page.getByRole("button", { name: "Reject" }).click();
  await page.getByText("Say why you reject it").waitFor();
  await page.getByLabel("Reason").fill("a kernel nobody knows");
  await page.getByRole("button", { name: "Reject" }).click();
  await page.getByText("alice rejected it: a kernel nobody knows").waitFor();
  expect((await builder.find(second)).state).toBe("rejected");
  expect(said).toEqual([]);
});

test("the key of the browser cannot be taken out of it", async () => {
  const page = await browser.open(service.url);
  await signIn(page, aliceToken);
  await page.goto(`${service.url}/#/key`);
  await page.getByRole("button", { name: "Make a key" }).click();
  await page.getByLabel("Public key, PEM").waitFor();
  const outcome = await page.evaluate(`(async () => {
    const opened = await new Promise((resolve) => {
      const asked = indexedDB.open("sealwright");
      asked.onsuccess = () => resolve(asked.result);
    });
    const pair = await new Promise((resolve) => {
      const asked = opened.transaction("keys").objectStore("keys").get("approver");
      asked.onsuccess = () => resolve(asked.result);
    });
    const exported = await crypto.subtle.exportKey("pkcs8", pair.privateKey).then(() => "given", (error) => error.name);
    return [exported, document.cookie];
  })()`);
  expect(outcome).toEqual(["InvalidAccessError", ""]);
});

test("a decision that was signed elsewhere can be pasted, a forged one is refused", async () => {
  const id = await submit("registry.example/pasted:1");
  const page = await browser.open(service.url, { dark: true, width: 420 });
  await signIn(page, aliceToken);
  await page.goto(`${service.url}/#/requests/${id}`);
  await page.getByText("A decision that was signed elsewhere").click();
  const text = Buffer.from(bob.decide(id)).toString();
  await page.getByLabel("Signed decision, JSON").fill(text.replace('"approve"', '"reject"'));
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("alert").filter({ hasText: "approval.signature-wrong" }).waitFor();
  await page.getByLabel("Signed decision, JSON").fill(text);
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("bob approved").waitFor();
  // Nothing is wider than a narrow window.
  expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
});

test("the page has names for everything one can use", async () => {
  const id = await submit("registry.example/named:1");
  const page = await browser.open(service.url);
  await signIn(page, aliceToken);
  await page.goto(`${service.url}/#/requests/${id}`);
  await page.getByRole("heading", { name: "Your decision" }).waitFor();
  const nameless = await page.evaluate(`[...document.querySelectorAll("button, a, input, textarea")]
    .filter((each) => !(each.textContent || each.labels?.length || each.ariaLabel)).map((each) => each.outerHTML)`);
  expect(nameless).toEqual([]);
  expect(await page.locator("h1").count()).toBe(1);
  expect(await page.title()).toBe("registry.example/named:1: waiting");
});

test("who only reads sees everything and decides nothing", async () => {
  const id = await submit("registry.example/read:1");
  const page = await browser.open(service.url);
  // A name with characters that turn text around is shown with them, not turned around.
  await page.route("**/api/v1/session", (route) => route.fulfill({ json: { name: "au\u202editor", role: "auditor" } }));
  await page.context().addCookies([
    {
      name: "__Host-sealwright",
      value: aliceToken,
      url: service.url,
      secure: true,
      httpOnly: true,
      sameSite: "Strict",
    },
  ]);
  await page.goto(`${service.url}/#/requests/${id}`);
  await page.reload();
  await page.getByRole("heading", { name: "Changes" }).waitFor();
  expect(await page.getByRole("heading", { name: "Your decision" }).count()).toBe(0);
  expect(await page.getByText("au\\u{202e}ditor").count()).toBe(1);
});
