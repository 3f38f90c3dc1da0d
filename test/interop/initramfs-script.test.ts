import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { HOST_FILES } from "../../src/actions/debian-image/recipe.ts";

const SCRIPT = `${HOST_FILES}/composefs/root.sh`;
const READ_POLICY = `${HOST_FILES}/composefs/read-policy.sh`;
const directory = mkdtempSync(join(tmpdir(), "initramfs-script-"));
afterAll(() => rmSync(directory, { recursive: true }));

const A = "a".repeat(128);
const B = "b".repeat(128);

const C = "c".repeat(64);

/** Runs functions of the boot scripts; a refusal is what it says, and ends them. */
function runScript(program: string): string {
  const refuse = `cfs_refuse() { echo "refused: $*"; exit 0; }`;
  const { stdout, stderr } = spawnSync("sh", ["-eu", "-c", `. ${SCRIPT}; ${refuse}; ${program}`], {
    encoding: "utf8",
    env: { ...process.env, cfs_cmdline: join(directory, "cmdline"), cfs_root: join(directory, "root") },
  });
  expect(stderr).toBe("");
  return stdout.trim();
}

/** The digests on a kernel command line, in the order in which they are looked for. */
function parse(cmdline: string): string {
  writeFileSync(join(directory, "cmdline"), cmdline);
  return runScript(`cfs_parse_cmdline; echo $cfs_digests`);
}

describe("the boot script on the command line", () => {
  test.each([
    ["the plain spelling", `rw composefs=${A} quiet`, `n:sha512:${A}`],
    ["a line without an end", `composefs=${A}`, `n:sha512:${A}`],
    ["missing fs-verity tolerated", `composefs=?${A}\n`, `y:sha512:${A}`],
    ["SHA-256 by its length", `composefs=${C}`, `n:sha256:${C}`],
    ["several in their order", `composefs=${A} composefs=${B}`, `n:sha512:${A} n:sha512:${B}`],
    [
      "named formats before the plain ones",
      `composefs=${A} composefs.digest=v2-sha256-12:${C} composefs.digest=v1-sha512-12:${B}`,
      `n:sha256:${C} n:sha512:${B} n:sha512:${A}`,
    ],
    ["a named format it does not know", `composefs.digest=v3-sha512-12:${B} composefs=${A}`, `n:sha512:${A}`],
    [
      "tolerance of the argument that has it alone",
      `composefs=${A} composefs.digest=?v1-sha512-12:${B}`,
      `y:sha512:${B} n:sha512:${A}`,
    ],
    ["quotes around another argument", `x="a composefs=${B} b" composefs=${A}`, `n:sha512:${A}`],
    ["a quoted value", `composefs="${A}"`, `n:sha512:${A}`],
    ["file name patterns", `x=* y=? composefs=${A}`, `n:sha512:${A}`],
    ["none", "rw root=/dev/vda", ""],
  ])("takes %s", (_, cmdline, digests) => {
    expect(parse(cmdline)).toBe(digests);
  });

  test.each([
    ["upper case", `composefs=${A.toUpperCase()}`],
    ["too few digits", "composefs=abc"],
    ["digits of the other algorithm", `composefs.digest=v1-sha256-12:${A}`],
    ["a path", `composefs=../${A.slice(3)}`],
    ["no value", "composefs="],
    ["two question marks", `composefs=??${A}`],
    ["a bad one behind a good one", `composefs=${A} composefs=x`],
    ["nothing but formats it does not know", `composefs.digest=v3-sha512-12:${A}`],
  ])("refuses %s", (_, cmdline) => {
    expect(parse(cmdline)).toMatch(/^refused: composefs(?:\.digest)?= /);
  });
});

describe("the boot script on the images of a disk", () => {
  /** Opens the image of a disk that has these, and whose kernel measures the file's first line. */
  function open(cmdline: string, images: Readonly<Record<string, string>>): string {
    const place = join(directory, "root/composefs/images");
    rmSync(join(directory, "root"), { recursive: true, force: true });
    mkdirSync(place, { recursive: true });
    for (const [name, content] of Object.entries(images)) writeFileSync(join(place, name), `${content}\n`);
    writeFileSync(join(directory, "cmdline"), cmdline);
    const measure = `fsverity() { cat "$2"; }`;
    return runScript(`${measure}; cfs_parse_cmdline; cfs_open_image; echo "$cfs_id $cfs_verity"`);
  }

  test.each([
    ["the one that is measured as it is named", `composefs=${A}`, { [A]: `sha512:${A} x` }, `${A} ,verity=require`],
    [
      "the first of which there is an image",
      `composefs.digest=v1-sha512-12:${B} composefs.digest=v1-sha256-12:${C} composefs=${A}`,
      { [C]: `sha256:${C} x`, [A]: `sha512:${A} x` },
      `${C} ,verity=require`,
    ],
    ["one without fs-verity where that is tolerated", `composefs=?${A}`, { [A]: "" }, A],
    [
      "one with fs-verity where it could be missing",
      `composefs=?${A}`,
      { [A]: `sha512:${A} x` },
      `${A} ,verity=require`,
    ],
  ])("takes %s", (_, cmdline, images, expected) => {
    expect(open(cmdline, images).split("\n").at(-1)).toBe(expected);
  });

  test.each([
    ["no image", `composefs=${A} composefs=${B}`, {}, `the disk has no image ${A} ${B}`],
    ["one without fs-verity", `composefs=${A}`, { [A]: "" }, `image ${A} has no fs-verity`],
    ["another digest", `composefs=${A}`, { [A]: `sha512:${B} x` }, `image ${A} has the fs-verity digest sha512:${B}`],
    [
      "another algorithm",
      `composefs=${C}`,
      { [C]: `sha512:${C} x` },
      `image ${C} has the fs-verity digest sha512:${C}`,
    ],
    [
      "another digest, tolerance or not",
      `composefs=?${A}`,
      { [A]: `sha512:${B} x` },
      `image ${A} has the fs-verity digest sha512:${B}`,
    ],
    [
      "a first image that is wrong, whatever comes behind",
      `composefs=${A} composefs=${B}`,
      { [A]: "", [B]: `sha512:${B} x` },
      `image ${A} has no fs-verity`,
    ],
  ])("refuses %s", (_, cmdline, images: Readonly<Record<string, string>>, expected) => {
    expect(open(cmdline, images)).toBe(`refused: ${expected}`);
  });
});

/** Reads a policy as the hook of initramfs-tools and the module of dracut do. */
function policy(toml: string): { status: number | null; text: string } {
  const file = join(directory, "policy.toml");
  writeFileSync(file, toml);
  const { status, stdout } = spawnSync("sh", [READ_POLICY, file], { encoding: "utf8" });
  return { status, text: stdout };
}

test("a policy that is not there is the default", () => {
  const { stdout } = spawnSync("sh", [READ_POLICY, join(directory, "absent.toml")], { encoding: "utf8" });
  expect(stdout).toBe("root_transient=false\netc_mount=bind\nvar_mount=\n");
});

describe("read-policy.sh", () => {
  test.each([
    ["nothing", "", "false bind "],
    ["a transient /etc", '[etc]\nmount = "transient"', "false transient "],
    ["its alias, with a comment", "[etc]\nmount = 'volatile' # gone at reboot", "false transient "],
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

test("shellcheck has nothing to say about the scripts", () => {
  const scripts = globSync(`${HOST_FILES}/{composefs,dracut,image,initramfs-tools}/**/*`).filter((path) =>
    /^#(?:!\/bin\/|.*shell=)/.test(isFile(path) ? readFileSync(path, "utf8") : ""),
  );
  expect(scripts.length).toBeGreaterThanOrEqual(7);
  const { status, stdout } = spawnSync("shellcheck", ["-x", ...scripts], {
    encoding: "utf8",
    cwd: join(HOST_FILES, "../.."),
  });
  expect([stdout, status]).toEqual(["", 0]);
});

const isFile = (path: string): boolean => statSync(path).isFile();
