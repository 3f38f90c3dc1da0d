/** The page of the service: its modules as a browser takes them, kept in memory. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";

export interface PageFile {
  readonly type: string;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

/** Sources in TypeScript, or what the compiler made of them: the ending is that of this file. */
const ENDING = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const DIRECTORY = new URL("../web/", import.meta.url);
const ENTRY = `main${ENDING}`;

/** By path. */
export async function loadPageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const names = (await readdir(DIRECTORY)).filter(
    (name) => name.endsWith(ENDING) && !name.endsWith(`.d${ENDING}`) && !name.endsWith(`.test${ENDING}`),
  );
  const files = new Map<string, PageFile>([["/", toPageFile("text/html; charset=utf-8", SHELL)]]);
  for (const name of names) {
    const source = await readFile(new URL(name, DIRECTORY), "utf8");
    files.set(`/page/${name}`, toPageFile("text/javascript; charset=utf-8", await toJavaScript(source)));
  }
  return files;
}

/** Types are blanked out, so that lines and columns stay. */
async function toJavaScript(source: string): Promise<string> {
  if (ENDING === ".js") return source;
  const { stripTypeScriptTypes } = await import("node:module");
  return stripTypeScriptTypes(source);
}

function toPageFile(type: string, text: string): PageFile {
  const body = Buffer.from(text);
  return { type, body, etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"` };
}

const SHELL = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Signing requests</title>
<link rel="icon" href="data:,">
<script type="module" src="/page/${ENTRY}"></script>
</head>
<body>
<noscript>Approvals are signed in the browser: this page needs JavaScript. Without it: sealwright sign-request --approve.</noscript>
</body>
</html>
`;
