import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildWithUkify, runUkify, stubPath } from "../../../test/tools/ukify.ts";
import { parsePe } from "../pe/index.ts";
import { buildUki, inspectUki, makeSection, type UkiInputs } from "./index.ts";

const SBAT = "sbat,1,SBAT Version,sbat,1,https://example.com/\nmine,3,Me,mine,1,https://example.com/\n";

type Release = Parameters<typeof stubPath>[0];
type Inputs = Omit<UkiInputs, "sections" | "sbat"> & { sbat?: string[] };

/** The same inputs as ukify's flags and the files they name. */
function flagsOf(inputs: Inputs): { args: string[]; files: Record<string, Uint8Array> } {
  const files: Record<string, Uint8Array> = {};
  const args: string[] = [];
  const add = (flag: string, content: Uint8Array | undefined, at = ""): void => {
    if (content === undefined) return;
    const name = `file${Object.keys(files).length}`;
    files[name] = content;
    args.push(`--${flag}=${at}{${name}}`);
  };
  add("linux", inputs.linux);
  add("os-release", inputs.osRelease, "@");
  if (inputs.osRelease === undefined) args.push("--os-release=");
  add("cmdline", inputs.cmdline, "@");
  add("devicetree", inputs.dtb);
  for (const dtbauto of inputs.dtbautos ?? []) add("devicetree-auto", dtbauto);
  if (inputs.uname !== undefined) args.push(`--uname=${inputs.uname}`);
  add("splash", inputs.splash);
  add("pcrpkey", inputs.pcrPublicKey);
  for (const initrd of inputs.initrds ?? []) add("initrd", initrd);
  add("microcode", inputs.ucode);
  for (const sbat of inputs.sbat ?? []) add("sbat", Buffer.from(sbat), "@");
  add("profile", inputs.profile, "@");
  for (const profile of inputs.profiles ?? []) add("join-profile", profile);
  return { args, files };
}

async function buildBoth(release: Release, kind: "linux" | "addon", inputs: Inputs): Promise<[Uint8Array, Uint8Array]> {
  const stub = await stubPath(release, kind);
  const { args, files } = flagsOf(inputs);
  const theirs = await buildWithUkify([`--stub=${stub}`, ...args], files);
  return [(await buildUki(await readFile(stub), inputs)).bytes, theirs];
}

const content = fc.uint8Array({ minLength: 1, maxLength: 5000 }).map((bytes) => Buffer.from(bytes));
const line = fc.stringMatching(/^[a-z=. ]{1,40}\n?$/).map((text) => Buffer.from(text));
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const payload = {
  cmdline: maybe(line),
  dtb: maybe(content),
  dtbautos: fc.array(content, { maxLength: 2 }),
  splash: maybe(content),
  pcrPublicKey: maybe(content),
  initrds: fc.array(content, { maxLength: 3 }),
  ucode: maybe(content),
};

/** Absent and given-as-undefined are not the same to the compiler. */
const present = (record: Record<string, unknown>): Inputs =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Inputs;

describe("buildUki() and ukify write the same bytes", () => {
  const kernel = fc.record({
    ...payload,
    // Not "MZ": of what starts so and is no PE, ukify drops the first 8 bytes.
    linux: content.map((bytes) => Buffer.concat([Buffer.from("kernel"), bytes])),
    osRelease: maybe(line),
    uname: fc.constantFrom("6.12.0", "7.2.12+deb14-cloud-amd64"),
    sbat: maybe(fc.constant([SBAT])),
  });

  test.each<[Release, number]>([
    ["262-x64", 5],
    ["262-aa64", 3],
    ["252-x64", 3],
  ])("for random UKIs on the %s stub", async (release, numRuns) => {
    await fc.assert(
      fc.asyncProperty(kernel, async (record) => {
        // The 252 stub has 7 free headers and 512 bytes of SBAT.
        const { linux, cmdline, initrds, uname, osRelease } = record;
        const inputs = release === "252-x64" ? { linux, cmdline, initrds, uname, osRelease } : record;
        const [ours, theirs] = await buildBoth(release, "linux", present(inputs));
        expect(Buffer.compare(ours, theirs)).toBe(0);
      }),
      { numRuns },
    );
  });

  test("for random addons", async () => {
    const addon = fc.record({ ...payload, cmdline: line, sbat: maybe(fc.constant([SBAT])) });
    await fc.assert(
      fc.asyncProperty(addon, async (record) => {
        const [ours, theirs] = await buildBoth("262-x64", "addon", present(record));
        expect(Buffer.compare(ours, theirs)).toBe(0);
      }),
      { numRuns: 3 },
    );
  });

  test("for profiles, joined to a base without one of its own", async () => {
    const alt = { profile: Buffer.from("ID=alt\n"), cmdline: Buffer.from("quiet"), osRelease: Buffer.from("ID=x\n") };
    const [ours, theirs] = await buildBoth("262-x64", "addon", alt);
    expect(Buffer.compare(ours, theirs)).toBe(0);
    for (const osRelease of [Buffer.from("ID=base\n"), undefined]) {
      const base = present({ linux: Buffer.from("kernel"), uname: "1", osRelease, profiles: [ours, ours] });
      const [joined, theirJoined] = await buildBoth("262-x64", "linux", base);
      expect(Buffer.compare(joined, theirJoined)).toBe(0);
    }
  });

  test("for a kernel with SBAT, inside gzip, whose version both find", async () => {
    // A PE that is as good as a kernel: an addon stub with .sbat, and a version banner.
    const addon = await readFile(await stubPath("262-x64", "addon"));
    const banner = "Linux version 6.99.1-1.test (builder@host) #1 SMP\0";
    const { bytes } = await buildUki(addon, { cmdline: Buffer.from(banner), sbat: [SBAT] });
    for (const linux of [bytes, gzipSync(bytes)]) {
      const [ours, theirs] = await buildBoth("262-x64", "linux", { linux, osRelease: Buffer.from("ID=x\n") });
      expect(Buffer.compare(ours, theirs)).toBe(0);
      expect(inspectUki(parsePe(ours))).toMatchObject({ ".uname": { text: "6.99.1-1.test" } });
    }
  });

  test("for sections of the user's own", async () => {
    const stub = await stubPath("262-x64", "addon");
    const theirs = await buildWithUkify([`--stub=${stub}`, "--section=.mine:text", "--section=.more:@{more}"], {
      more: Buffer.from("more"),
    });
    const sections = [makeSection(".mine", Buffer.from("text")), makeSection(".more", Buffer.from("more"))];
    expect(Buffer.compare((await buildUki(await readFile(stub), { sections })).bytes, theirs)).toBe(0);
  });
});

test("ukify inspect and objdump read what we wrote", async () => {
  const directory = await mkdtemp(join(tmpdir(), "sealwright-uki-"));
  try {
    const stub = await readFile(await stubPath("262-x64", "linux"));
    const inputs = {
      linux: Buffer.from("kernel"),
      uname: "1.2",
      osRelease: Buffer.from("ID=x\n"),
      dtbautos: [Buffer.from("d")],
    };
    const { bytes } = await buildUki(stub, inputs);
    const path = join(directory, "ours.efi");
    await writeFile(path, bytes);
    const run = await runUkify(["inspect", path, "--all", "--json=pretty"]);
    expect(run.stdout.trimEnd()).toBe(JSON.stringify(inspectUki(parsePe(bytes)), null, 4));
    const listed = execFileSync("objdump", ["-h", path], { encoding: "utf8" });
    expect([...listed.matchAll(/^\s+\d+ (\S+)/gm)].map(([, name]) => name)).toEqual(
      parsePe(bytes).sections.map(({ name }) => name),
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
