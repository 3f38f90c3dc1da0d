import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { FormatError } from "../../lib/errors.ts";
import { compareDpkgVersions, parseDpkgFileList, parseDpkgMd5sums, parseDpkgStatus } from "./index.ts";

test.each([
  // The five versions of Debian Policy 5.6.12, in its order.
  ["~~", "~~a"],
  ["~~a", "~"],
  ["~", ""],
  ["", "a"],
  ["1.0~beta1~svn1245", "1.0~beta1"],
  ["1.0~beta1", "1.0"],
  ["9:1", "10:1"],
  ["1.9", "1.10"],
  ["1.0-1", "1.0-1.1"],
  ["1.0", "1.0-1"],
  ["1.0a", "1.0+"],
  ["2.0", "1:1.0"],
  ["1-2-3", "1-3-1"],
])("compareDpkgVersions(%j, %j): the first is older", (older, newer) => {
  expect(compareDpkgVersions(older, newer)).toBeLessThan(0);
  expect(compareDpkgVersions(newer, older)).toBeGreaterThan(0);
});

test.each([
  ["0:1.0", "1.0"],
  ["1.0", "1.0-0"],
  ["1.01", "1.1"],
  ["1.0-", "1.0"],
])("compareDpkgVersions(%j, %j): equal", (a, b) => {
  expect(compareDpkgVersions(a, b)).toBe(0);
});

/** Pieces that make versions which differ late, and in every rule. */
const version = fc
  .tuple(
    fc.constantFrom("", "", "0:", "1:", "10:"),
    fc.constantFrom("0", "1", "9", "10", "007"),
    fc.array(fc.constantFrom(".", "~", "+", "a", "B", "0", "1", "10", "rc", "-1", "-", "."), { maxLength: 5 }),
    fc.constantFrom("", "-1", "-0", "-1~bpo12+1", "-1.1", "-a"),
  )
  .map(([epoch, first, rest, revision]) => `${epoch}${first}${rest.join("")}${revision}`)
  .filter((text) => !text.endsWith("-"));

test("compareDpkgVersions() agrees with dpkg --compare-versions on 300 random pairs", () => {
  const pairs = fc.sample(fc.tuple(version, version), { numRuns: 300, seed: 7 });
  const script = pairs
    .map(
      ([a, b]) =>
        `dpkg --compare-versions '${a}' lt '${b}' && echo lt || { dpkg --compare-versions '${a}' eq '${b}' && echo eq || echo gt; }`,
    )
    .join("\n");
  const { stdout, stderr } = spawnSync("sh", { input: script, encoding: "utf8" });
  expect(stderr).toBe("");
  const said = pairs.map(([a, b]) => ({ a, b, order: nameOf(compareDpkgVersions(a, b)) }));
  const wanted = stdout.trim().split("\n");
  expect(wanted).toHaveLength(pairs.length);
  expect(said).toEqual(pairs.map(([a, b], index) => ({ a, b, order: wanted[index] })));
});

const nameOf = (order: number): string => (order < 0 ? "lt" : order > 0 ? "gt" : "eq");

test("compareDpkgVersions() is an order of any text", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      expect(Math.sign(compareDpkgVersions(a, b))).toBe(-Math.sign(compareDpkgVersions(b, a)) + 0);
      expect(compareDpkgVersions(a, a)).toBe(0);
    }),
  );
});

const STATUS = `Package: tar
Essential: yes
Status: install ok installed
Installed-Size: 3152
Architecture: amd64
Version: 1.35+dfsg-3.1
Description: GNU version of the tar archiving utility
 Tar is a program for packaging a set of files.
 .
 Version: this is no field

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install ok half-configured
Architecture: all
Version: 2:1-1
`;

test("parseDpkgStatus() lists what is unpacked", () => {
  expect(parseDpkgStatus(Buffer.from(STATUS))).toEqual([
    { name: "tar", version: "1.35+dfsg-3.1", architecture: "amd64", installedSize: 3152 * 1024 },
    { name: "half", version: "2:1-1", architecture: "all" },
  ]);
});

test("parseDpkgStatus() takes the files of status.d, which have no Status", () => {
  const text = "Package: netbase\nVersion: 6.4\nArchitecture: all\n";
  expect(parseDpkgStatus(Buffer.from(text))).toEqual([{ name: "netbase", version: "6.4", architecture: "all" }]);
});

test("parseDpkgStatus() lists this machine's packages as dpkg-query does", () => {
  const format = "${db:Status-Status} ${Package} ${Version} ${Architecture}\\n";
  const { stdout } = spawnSync("dpkg-query", ["-W", "-f", format], { encoding: "utf8" });
  const wanted = stdout.split("\n").flatMap((line) => (line.startsWith("installed ") ? [line.slice(10)] : []));
  const { stdout: status } = spawnSync("cat", ["/var/lib/dpkg/status"], { maxBuffer: 1 << 28 });
  const found = parseDpkgStatus(status).map(({ architecture, name, version }) => `${name} ${version} ${architecture}`);
  expect(found.toSorted()).toEqual(wanted.toSorted());
});

test.each([
  ["Package: a\nno field\n", "dpkg.status.line"],
  [": value\n", "dpkg.status.line"],
  ["Version: 1\n", "dpkg.status.field-missing"],
  ["Package: a\n", "dpkg.status.field-missing"],
  ["Package: a\nVersion: 1\nInstalled-Size: big\n", "dpkg.status.size"],
])("parseDpkgStatus(%j) refuses: %s", (text, code) => {
  expect(codeOf(() => parseDpkgStatus(Buffer.from(text)))).toBe(code);
});

test("parseDpkgStatus() answers any change of a file with packages or a FormatError", () => {
  const bytes = Buffer.from(STATUS);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(bytes);
      changed[at] = byte;
      try {
        parseDpkgStatus(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
  );
});

test.each([
  ["", undefined],
  ["Source: gcc-14\n", "gcc-14"],
  ["Source: gcc-14 (14.2.0-19)\n", "gcc-14"],
  ["Source:\n", undefined],
])("parseDpkgStatus() names the source package: %j", (field, source) => {
  const text = `Package: libgcc-s1\nVersion: 14.2.0-19\n${field}`;
  expect(parseDpkgStatus(Buffer.from(text))[0]?.source).toBe(source);
});

test("parseDpkgFileList() lists the files of a package as dpkg -L does", () => {
  const listed = spawnSync("dpkg", ["-L", "dpkg"], { encoding: "utf8" }).stdout.trim().split("\n");
  const found = parseDpkgFileList(readFileSync("/var/lib/dpkg/info/dpkg.list"));
  expect(found).toEqual(listed.filter((line) => line.startsWith("/")));
});

test("parseDpkgMd5sums() lists paths, and takes any bytes", () => {
  const sum = "0123456789abcdef".repeat(2);
  const text = `${sum}  usr/bin/a b\nnonsense\n${sum} *usr/lib/c\n`;
  expect(parseDpkgMd5sums(Buffer.from(text))).toEqual(["/usr/bin/a b", "/usr/lib/c"]);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseDpkgMd5sums(bytes)));
});
