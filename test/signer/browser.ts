/** Debian's Chromium, which trusts the key of one server and keeps the data of one person. */
import { createHash, X509Certificate } from "node:crypto";
import { type Browser, chromium, type Page } from "playwright-core";

export interface TestBrowser extends AsyncDisposable {
  /** A person of their own: no cookies, no keys. */
  open(url: string, look?: { readonly dark?: boolean; readonly width?: number }): Promise<Page>;
}

export async function startBrowser(serverCertificate: string): Promise<TestBrowser> {
  const spki = new X509Certificate(serverCertificate).publicKey.export({ format: "der", type: "spki" });
  const pin = createHash("sha256").update(spki).digest("base64");
  const browser: Browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--ignore-certificate-errors-spki-list=${pin}`,
    ],
  });
  return {
    async open(url, { dark = false, width = 1100 } = {}) {
      const context = await browser.newContext({
        colorScheme: dark ? "dark" : "light",
        viewport: { width, height: 900 },
        locale: "en",
      });
      const page = await context.newPage();
      await page.goto(url);
      return page;
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}
