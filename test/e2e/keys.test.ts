/**
 * Firmware's word on the life of keys: what both keys of a rotation signed starts with either of them in db, an addon's
 * argument reaches the kernel, and what is revoked does not start. Two boots of a minute or two under emulation, and a
 * refusal.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireDebianImage } from "../../scripts/debian-image.ts";
import { stubPath } from "../tools/ukify.ts";

const program = fileURLToPath(new URL("../../bin/sealwright.cjs", import.meta.url));
const TIMEOUT_MS = 900_000;
const ARGUMENT = "sealwright.addon=seen";

let directory: string;
let disk: string;
const path = (name: string): string => join(directory, name);

function sealwright(...args: string[]) {
  const env = { ...process.env, XDG_CACHE_HOME: path("cache"), XDG_STATE_HOME: path("state") };
  return spawnSync(process.execPath, [program, ...args], { encoding: "utf8", env, maxBuffer: 1 << 28 });
}

function required(...args: string[]): string {
  const { status, stderr, stdout } = sealwright(...args);
  if (status !== 0) throw new Error(`sealwright ${args.join(" ")}: ${status}\n${stderr}`);
  return stdout;
}

/** The key directory as it is now, under another name. */
function keep(name: string): string {
  cpSync(path("keys"), path(name), { recursive: true });
  return path(name);
}

beforeAll(async () => {
  const base = await requireDebianImage();
  directory = mkdtempSync(join(tmpdir(), "sealwright-keys-boot-"));
  disk = path("os.qcow2");
  const keys = path("keys");
  required("keys", "generate", keys);
  keep("before");
  required("keys", "rotate", "db", "--keys", keys);
  const stub = await stubPath("262-x64", "addon");
  required("uki", "addon", "build", "--stub", stub, "--cmdline", ARGUMENT, "--output", path("seen.addon.efi"));
  const both = ["db", "db-old"].flatMap((name) => ["--key", `${keys}/${name}.key`, "--cert", `${keys}/${name}.crt`]);
  const sealed = `oci:${path("sealed")}:trixie`;
  required("seal", base, "--to", sealed, ...both, "--addon", path("seen.addon.efi"));
  required("disk", "build", sealed, "-o", disk, "--format", "qcow2", "--uki-addon", "seen");
}, TIMEOUT_MS);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Check {
  readonly name: string;
  readonly status: string;
  readonly code?: string;
  readonly detail: string;
}

function boot(keys: string): { readonly checks: Check[]; readonly holds: boolean } {
  return JSON.parse(sealwright("vm", "test", disk, "--keys", keys, "--json").stdout) as ReturnType<typeof boot>;
}

test(
  "an image with both signatures starts with the old db alone, and its addon's argument is on the command line",
  () => {
    const addons = JSON.parse(required("uki", "addon", "list", disk, "--json")) as {
      addons: { commandLine: string }[];
    };
    expect(addons.addons.map(({ commandLine }) => commandLine)).toEqual([ARGUMENT]);
    const { checks, holds } = boot(path("before"));
    // The check of the command line wants the UKI's and, behind it, the addon's: as the running kernel has it.
    expect(checks.filter(({ status }) => status !== "holds")).toEqual([]);
    expect(checks.find(({ name }) => name === "event-log")?.detail).toContain("with 1 of its addons");
    expect(holds).toBe(true);
  },
  TIMEOUT_MS,
);

test(
  "it starts with the new db alone",
  () => {
    const after = keep("after");
    for (const suffix of ["crt", "key"]) rmSync(join(after, `db-old.${suffix}`));
    expect(readFileSync(join(after, "db.crt"))).not.toEqual(readFileSync(path("before/db.crt")));
    expect(boot(after).holds).toBe(true);
  },
  TIMEOUT_MS,
);

test(
  "it does not start where the old certificate is revoked, though its other signature is good",
  () => {
    const revoked = keep("revoked");
    required("keys", "revoke", join(revoked, "db-old.crt"), "--keys", revoked);
    const { checks, holds } = boot(revoked);
    expect([holds, checks.map(({ code }) => code)]).toEqual([false, ["machine.refused.boot-loader"]]);
  },
  TIMEOUT_MS,
);
