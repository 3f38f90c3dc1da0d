import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/**
 * The floors of ARCHITECTURE.md, lowest first. Imports look down; sideways only where `neighbours` says so.
 */
const floors = ["lib", "formats", "model", "actions", "server", "web", "cli"] as const;

/** Folders of one floor that may know each other. Every floor-lib and floor-cli folder is one room. */
const neighbours: Readonly<Record<string, readonly string[]>> = {
  "actions/attach": ["actions/seal"],
  "actions/seal": ["actions/uki"],
  "actions/seal-index": ["actions/seal"],
  "actions/sign-request": ["actions/diff", "actions/lint", "actions/seal"],
  "actions/signer-service": ["actions/diff", "actions/sign-request"],
  "formats/audit-log": ["formats/oci", "formats/signing-request", "formats/x509"],
  "formats/composefs-artifact": ["formats/fsverity"],
  "formats/in-toto": ["formats/oci"],
  "formats/sigstore": ["formats/in-toto", "formats/oci"],
  "formats/x509": ["formats/der"],
  "formats/cms": ["formats/der", "formats/x509"],
  "formats/authenticode": [
    "formats/pe",
    "formats/cms",
    "formats/der",
    "formats/esl",
    "formats/rfc3161",
    "formats/x509",
  ],
  "formats/dumpfile": ["formats/fsverity"],
  "formats/efivars": ["formats/cms", "formats/der", "formats/esl", "formats/x509"],
  "formats/esl": ["formats/x509"],
  "formats/signing-request": ["formats/oci", "formats/x509"],
  "formats/rfc3161": ["formats/cms", "formats/der", "formats/x509"],
  "formats/splitstream": ["formats/fsverity"],
  "formats/uki": ["formats/pe", "formats/cpio"],
};

/** Model folders all describe one thing, an OS image: any may look at any, but without cycles. */
const freeFloors = ["lib", "model", "server", "web", "cli"];

const root = fileURLToPath(new URL("../src", import.meta.url));

interface Import {
  readonly from: string;
  readonly to: string;
}

function sources(): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"),
  );
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?<!\.)\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1] as string);
}

function relativeImports(): Import[] {
  return sources().flatMap((from) =>
    importsOf(from)
      .filter((to) => to.startsWith("."))
      .map((to) => ({ from, to: relative(root, resolve(root, dirname(from), to)) })),
  );
}

const floorOf = (file: string) => floors.indexOf(file.split("/")[0] as (typeof floors)[number]);
const folderOf = (file: string) => file.split("/").slice(0, 2).join("/");

test("imports look down, or sideways where the table allows it", () => {
  const wrong = relativeImports().filter(({ from, to }) => {
    if (floorOf(from) !== floorOf(to)) return floorOf(from) < floorOf(to);
    if (folderOf(from) === folderOf(to)) return false;
    return (
      !freeFloors.includes(from.split("/")[0] as string) && !(neighbours[folderOf(from)] ?? []).includes(folderOf(to))
    );
  });
  expect(wrong).toEqual([]);
});

test("every source file stands on a floor", () => {
  expect(sources().filter((file) => floorOf(file) < 0)).toEqual([]);
});

/** Pure codecs may hash, inflate and hold bytes; they never open, spawn, fetch or ask for the time. */
const allowedInFormats = new Set(["node:buffer", "node:crypto", "node:zlib", "valibot", "smol-toml"]);

test("formats import no file system, network or process", () => {
  const wrong = sources()
    .filter((file) => file.startsWith("formats/"))
    .flatMap((file) =>
      importsOf(file)
        .filter((to) => !to.startsWith(".") && !allowedInFormats.has(to))
        .map((to) => ({ file, to })),
    );
  expect(wrong).toEqual([]);
});

test("formats read no clock and no randomness", () => {
  const impure = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\brandomBytes\(|\bprocess\.(?:env|cwd|stdout)/;
  const wrong = sources().filter(
    (file) => file.startsWith("formats/") && impure.test(readFileSync(join(root, file), "utf8")),
  );
  expect(wrong).toEqual([]);
});

test("nothing below the doors prints or exits", () => {
  const prints = /\bconsole\.|\bprocess\.(?:exit\b|stdout|stderr)/;
  const wrong = sources().filter(
    (file) => !file.startsWith("cli/") && prints.test(readFileSync(join(root, file), "utf8")),
  );
  expect(wrong).toEqual([]);
});

test("subprocesses, threads, native code, databases and servers live in their own rooms", () => {
  const rooms: Readonly<Record<string, RegExp>> = {
    "@hono/node-server": /^server\//,
    hono: /^server\//,
    kysely: /^model\/signing-queue\//,
    pg: /^model\/signing-queue\//,
    "node:child_process": /^model\/host-io\//,
    "node:worker_threads": /^(?:lib\/hash\/|model\/layer\/)/,
    koffi: /^model\/host-io\//,
    pkcs11js: /^model\/host-io\//,
  };
  const wrong = sources().flatMap((file) =>
    importsOf(file)
      .filter((to) => rooms[to] !== undefined && !rooms[to].test(file))
      .map((to) => ({ file, to })),
  );
  expect(wrong).toEqual([]);
});

test("the page knows the types of the API and nothing else", () => {
  const files = sources().filter((file) => file.startsWith("web/"));
  const wrong = files.flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    const imports = [...text.matchAll(/^import (type )?(?:\{[^}]*\}|\w+|\* as \w+) from "([^"]+)"/gm)];
    return imports
      .filter(([, type, to]) => type === undefined && to?.startsWith("./") !== true)
      .map(([, , to]) => ({ file, to }));
  });
  expect(files).not.toEqual([]);
  expect(wrong).toEqual([]);
});
