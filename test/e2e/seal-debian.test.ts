/** The main job on a real operating system, through the command line, judged by tools that are not ours. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireDebianImage } from "../../scripts/debian-image.ts";
import { mkcomposefs } from "../tools/composefs.ts";

const program = fileURLToPath(new URL("../../bin/sealwright.cjs", import.meta.url));

let base: string;
let directory: string;
let sealed: string;
let report: { digest: string; manifestDigest: string; layer: { digest: string } };

function sealwright(...args: string[]) {
  const env = { ...process.env, XDG_CACHE_HOME: join(directory, "cache") };
  return spawnSync(process.execPath, [program, ...args], { encoding: "utf8", env, maxBuffer: 1 << 28 });
}

function json(...args: string[]) {
  const { status, stderr, stdout } = sealwright(...args, "--json");
  if (status !== 0) throw new Error(`sealwright ${args.join(" ")}: ${status}\n${stderr}`);
  return JSON.parse(stdout);
}

beforeAll(async () => {
  base = await requireDebianImage();
  directory = mkdtempSync(join(tmpdir(), "sealwright-e2e-"));
  sealed = `oci:${join(directory, "sealed")}:trixie`;
  json("keys", "generate", join(directory, "keys"));
  report = json("seal", base, "--to", sealed, "--key", key("db.key"), "--cert", key("db.crt"));
}, 600_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const key = (name: string) => join(directory, "keys", name);

test("a sealed Debian verifies, and its digest is the one that digest prints", () => {
  const verdict = json("verify", sealed, "--cert", key("db.crt"));
  expect(verdict).toMatchObject({ holds: true, manifestDigest: report.manifestDigest });
  expect(sealwright("digest", sealed, "--no-cache").stdout.trim()).toBe(report.digest);
  expect(sealwright("digest", sealed).stdout.trim()).toBe(report.digest);
});

test("mkcomposefs gives the same image digests for the tree of a real Debian", () => {
  const dump = join(directory, "tree.dump");
  const { digests } = json("digest", sealed, "--format", "v1-sha256,v0-sha256", "--dumpfile", dump);
  for (const version of ["0", "1"]) {
    const said = mkcomposefs([
      `--min-version=${version}`,
      `--max-version=${version}`,
      "--print-digest-only",
      "--from-file",
      dump,
    ]);
    expect(said.toString().trim()).toBe(digests[`v${version}-sha256`]);
  }
  // What was dumped is the same tree when it is read again.
  expect(json("digest", `dump:${dump}`, "--format", "v1-sha256").digests).toEqual({
    "v1-sha256": digests["v1-sha256"],
  });
});

test("skopeo copies the sealed image, and the copy verifies", () => {
  const archive = join(directory, "copy.tar");
  const copied = spawnSync("skopeo", ["copy", "--quiet", sealed, `oci-archive:${archive}:copy`], { encoding: "utf8" });
  expect(copied.stderr).toBe("");
  expect(json("verify", `oci-archive:${archive}`, "--cert", key("db.crt"))).toMatchObject({ holds: true });
});

test("a second seal of the same image gives the same bytes", () => {
  const again = json(
    "seal",
    base,
    "--to",
    `oci:${join(directory, "again")}:trixie`,
    "--key",
    key("db.key"),
    "--cert",
    key("db.crt"),
  );
  expect(again).toMatchObject({ manifestDigest: report.manifestDigest, layer: { digest: report.layer.digest } });
});

test("one changed byte in any layer is refused with the exit status of a failed verification", () => {
  const tampered = join(directory, "tampered");
  cpSync(join(directory, "sealed"), tampered, { recursive: true });
  const blob = join(tampered, "blobs", report.layer.digest.replace(":", "/"));
  const bytes = readFileSync(blob);
  const middle = Math.floor(statSync(blob).size / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(blob, bytes);
  const { status, stdout } = sealwright("verify", `oci:${tampered}`, "--cert", key("db.crt"), "--json");
  expect(status).toBe(80);
  expect(JSON.parse(stdout).links[0]).toMatchObject({
    name: "blobs",
    status: "broken",
    code: "layer.blob-digest-mismatch",
  });
});

test("inspect says what bootc's inspect says, and that the image is sealed", () => {
  const before = json("inspect", base);
  const after = json("inspect", sealed);
  expect(before).toMatchObject({ kernel: { unified: false }, seal: null, os: { id: "debian" } });
  expect(after).toMatchObject({ kernel: { unified: true, version: before.kernel.version }, kargs: before.kargs });
  expect(after.seal.digests).toEqual([report.digest]);
  expect(after.seal.signers).toEqual(["CN=Secure Boot db"]);
});

test("a refusal is one document with --json and words on standard error", () => {
  const { status, stderr, stdout } = sealwright(
    "seal",
    sealed,
    "--to",
    `oci:${join(directory, "twice")}`,
    "--key",
    key("db.key"),
    "--cert",
    key("db.crt"),
    "--json",
  );
  expect(status).toBe(81);
  expect(JSON.parse(stdout).error.code).toBe("image.already-sealed");
  expect(stderr).toContain("cause: image.already-sealed");
  expect(stderr).toContain("hint: ");
});

test("misuse of the command line is told with the exit status of sysexits.h", () => {
  expect(sealwright("digst").status).toBe(64);
  expect(sealwright("seal", base).status).toBe(64);
  expect(sealwright("digest", "sif:x").status).toBe(64);
});

test("every command has help with its arguments", () => {
  for (const command of [
    ["keys", "generate"],
    ["digest"],
    ["inspect"],
    ["uki", "build"],
    ["sign"],
    ["seal"],
    ["verify"],
    ["completion"],
  ]) {
    const { status, stdout } = sealwright(...command, "--help");
    expect({ command, status }).toEqual({ command, status: 0 });
    expect(stdout).toContain("EXAMPLES");
  }
});

test("a reader that leaves early ends the program quietly", () => {
  const piped = spawnSync("sh", ["-c", `"${process.execPath}" "${program}" inspect "${sealed}" --json | head -1`], {
    encoding: "utf8",
  });
  expect(piped.stdout).toBe("{\n");
  expect(piped.stderr).not.toContain("EPIPE");
});
