import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { HOST_FILES } from "../../src/actions/debian-image/recipe.ts";

const SCRIPT = `${HOST_FILES}/initramfs-tools/scripts/composefs`;
const HOOK = `${HOST_FILES}/initramfs-tools/hooks/composefs`;
const directory = mkdtempSync(join(tmpdir(), "initramfs-script-"));
afterAll(() => rmSync(directory, { recursive: true }));

const A = "a".repeat(128);
const B = "b".repeat(128);

/** Reads a kernel command line with the functions of the boot script; a refusal is what it says. */
function parse(cmdline: string): { id: string; optional: string; refused: string } {
  const file = join(directory, "cmdline");
  writeFileSync(file, cmdline);
  const program = `cfs_cmdline=${file}; . ${SCRIPT}
    cfs_refuse() { echo "||$*"; exit 0; }
    cfs_parse_cmdline; echo "$cfs_id|$cfs_optional|"`;
  const { stdout, stderr } = spawnSync("sh", ["-eu", "-c", program], { encoding: "utf8" });
  expect(stderr).toBe("");
  const [id = "", optional = "", refused = ""] = stdout.trimEnd().split("|");
  return { id, optional, refused };
}

describe("the boot script on the command line", () => {
  test.each([
    ["the plain spelling", `rw composefs=${A} quiet`, A, "n"],
    ["a line without an end", `composefs=${A}`, A, "n"],
    ["missing fs-verity tolerated", `composefs=?${A}\n`, A, "y"],
    ["the first of several", `composefs=${A} composefs=${B}`, A, "n"],
    ["the named format before the plain one", `composefs=${A} composefs.digest=v1-sha512-12:${B}`, B, "n"],
    ["a named format it does not know", `composefs.digest=v1-sha256-12:${B} composefs=${A}`, A, "n"],
    ["tolerance of the named format", `composefs=${A} composefs.digest=?v1-sha512-12:${B}`, B, "y"],
    ["no tolerance from the argument that lost", `composefs=?${A} composefs.digest=v1-sha512-12:${B}`, B, "n"],
    ["quotes around another argument", `x="a composefs=${B} b" composefs=${A}`, A, "n"],
    ["a quoted value", `composefs="${A}"`, A, "n"],
    ["file name patterns", `x=* y=? composefs=${A}`, A, "n"],
    ["none", "rw root=/dev/vda", "", ""],
  ])("takes %s", (_, cmdline, id, optional) => {
    expect(parse(cmdline)).toEqual({ id, optional, refused: "" });
  });

  test.each([
    ["upper case", `composefs=${A.toUpperCase()}`],
    ["too few digits", "composefs=abc"],
    ["a path", `composefs=../${A.slice(3)}`],
    ["no value", "composefs="],
    ["two question marks", `composefs=??${A}`],
  ])("refuses %s", (_, cmdline) => {
    expect(parse(cmdline).refused).toMatch(/^composefs= /);
  });
});

/** Runs only the part of the hook that reads the policy. */
function policy(toml: string): { status: number | null; text: string } {
  const file = join(directory, "policy.toml");
  writeFileSync(file, toml);
  const text = readFileSync(HOOK, "utf8");
  const part = text.slice(text.indexOf("policy="));
  const env = { ...process.env, COMPOSEFS_POLICY: file, DESTDIR: directory };
  spawnSync("mkdir", ["-p", join(directory, "conf")]);
  const { status } = spawnSync("sh", ["-eu", "-c", part], { env });
  return { status, text: status === 0 ? readFileSync(join(directory, "conf/composefs"), "utf8") : "" };
}

describe("the initramfs hook on the mount policy", () => {
  test.each([
    ["nothing", "", "false bind "],
    ["a transient /etc", '[etc]\nmount = "transient"', "false transient "],
    [
      "its alias, with a comment",
      "[etc]\nmount = 'volatile' # gone at reboot".replaceAll("'", '"'),
      "false transient ",
    ],
    ["the old spelling", "[etc]\ntransient = true\n", "false transient "],
    ["a mount that wins over it", '[etc]\ntransient = true\nmount = "bind"\n', "false bind "],
    ["all of them", '[root]\ntransient = true\n[etc]\nmount = "none"\n[var]\nmount = "none"\n', "true none none"],
  ])("takes %s", (_, toml, expected) => {
    const [root, etc, variable] = expected.split(" ");
    expect(policy(toml)).toEqual({
      status: 0,
      text: `root_transient=${root}\netc_mount=${etc}\nvar_mount=${variable}\n`,
    });
  });

  test.each([
    ["an unknown key", "[etc]\ncolour = true"],
    ["a mount it does not know", '[var]\nmount = "tmpfs"'],
    ["a value that is a command", "[root]\ntransient = $(id)"],
  ])("stops at %s", (_, toml) => {
    expect(policy(toml).status).toBe(1);
  });
});
