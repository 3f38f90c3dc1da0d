import { expect, test } from "vitest";
import { escapeHtml, html } from "./html.ts";
import { badge, factTable, renderPage, table } from "./page.ts";

test.each([
  ["<b>&\"'", "&lt;b&gt;&amp;&quot;&#39;"],
  ["größe", "größe"],
  ["a\u0000b\u001bc\nd\te", "a\\u{0}b\\u{1b}c\nd\te"],
  ["gpj.\u202eexe", "gpj.\\u{202e}exe"],
  ["half \ud800", "half \\u{d800}"],
  ["whole \u{1f512}", "whole \u{1f512}"],
])("escapeHtml(%j) gives %j", (text, expected) => {
  expect(escapeHtml(text)).toBe(expected);
});

test("html`` escapes what is filled in and keeps what html`` made", () => {
  const name = '"><script>';
  expect(String(html`<p title="${name}">${[1, html`<b>${2n}</b>`, undefined, false, [name]]}</p>`)).toBe(
    '<p title="&quot;&gt;&lt;script&gt;">1<b>2</b>&quot;&gt;&lt;script&gt;</p>',
  );
});

/** Every tag closed in the order it was opened: enough of XML for pages without comments and CDATA. */
function checkTags(page: string): void {
  const open: string[] = [];
  for (const [, close, name, self] of page.matchAll(/<(\/?)([a-z0-9]+)(?: [a-z-]+="[^"<]*")*(\/?)>/g)) {
    if (close === "/") expect(open.pop()).toBe(name);
    else if (self !== "/") open.push(name as string);
  }
  expect(open).toEqual([]);
  expect(page.replaceAll(/<\/?[a-z0-9]+(?: [a-z-]+="[^"<]*")*\/?>/g, "").replace("<!DOCTYPE html>", "")).not.toMatch(
    /[<]/,
  );
}

test("renderPage() gives one well-formed file that fetches nothing", () => {
  const page = renderPage({
    title: "A & B <x>",
    verdict: { tone: "bad", text: "they differ" },
    body: [
      badge("warn", "3"),
      factTable([
        ["digest", "ab"],
        ["none", undefined],
      ]),
      table(["a"], [["<td>"], [1]]),
    ],
  });
  checkTags(page);
  expect(page).toContain("<title>A &amp; B &lt;x&gt;</title>");
  expect(page).not.toContain("none</dt>");
  expect(page).not.toMatch(/\b(?:src|href)=|url\(|@import|<script/);
});
