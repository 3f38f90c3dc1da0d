import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { writeSmallOs } from "../../../test/small-os.ts";
import { openTempDir, type TempDir } from "../host-io/temp.ts";
import { openTreeSource } from "../source/tree-source.ts";
import { makeSbom, packageUrl, type Sbom, type SbomSubject } from "./index.ts";

let temp: TempDir;
beforeEach(async () => {
  temp = await openTempDir();
});
afterEach(async () => await temp[Symbol.asyncDispose]());

const paragraph = (name: string, version: string, status = "install ok installed"): string =>
  `Package: ${name}\nStatus: ${status}\nVersion: ${version}\nArchitecture: amd64\n\n`;

async function sbomOf(status: string | null, subject: Partial<SbomSubject> = {}): Promise<Sbom> {
  const database =
    status === null
      ? {}
      : { "usr/lib/sysimage/": "", "usr/lib/sysimage/dpkg/": "", "usr/lib/sysimage/dpkg/status": status };
  const release = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n';
  await writeSmallOs(`oci:${temp.path}/os:t`, { files: { ...database, "usr/lib/os-release": release } });
  await using source = await openTreeSource(`oci:${temp.path}/os:t`, { algorithms: ["sha256"] });
  return await makeSbom(source, { name: "registry.example/os", toolVersion: "1.2.3", ...subject });
}

const packages =
  paragraph("zlib1g", "1:1.2.13.dfsg-1") +
  paragraph("bash", "5.2.15-2+b7") +
  paragraph("gone", "1", "deinstall ok config-files");

test("makeSbom() lists what is installed, sorted, with package URLs", async () => {
  const { components, document } = await sbomOf(packages, { manifestDigest: "sha256:ab" });
  expect(components).toBe(3);
  const list = document["components"] as readonly { readonly name: string; readonly purl?: string }[];
  expect(list.map(({ name, purl }) => purl ?? name)).toEqual([
    "debian",
    "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12",
    "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12",
  ]);
  expect(document).toMatchObject({ metadata: { component: { name: "registry.example/os", version: "sha256:ab" } } });
});

test("makeSbom() gives the same bytes again, and other ones for other packages", async () => {
  const first = await sbomOf(packages);
  expect((await sbomOf(packages)).bytes).toEqual(first.bytes);
  expect(first.document["metadata"]).not.toHaveProperty("timestamp");
  const other = await sbomOf(packages + paragraph("new", "1"));
  expect(other.document["serialNumber"]).not.toBe(first.document["serialNumber"]);
  const timed = await sbomOf(packages, { buildTime: new Date(1_700_000_000_000) });
  expect(timed.document).toMatchObject({ metadata: { timestamp: "2023-11-14T22:13:20.000Z" } });
});

test("makeSbom() writes what the schema of CycloneDX 1.6 allows", async () => {
  const { bytes } = await sbomOf(packages, { manifestDigest: "sha256:ab", properties: { a: "b" } });
  writeFileSync(`${temp.path}/bom.json`, bytes);
  const schema = fileURLToPath(
    new URL("../../../node_modules/@cyclonedx/cyclonedx-library/res/schema", import.meta.url),
  );
  const check = `
import json, sys, jsonschema
load = lambda name: json.load(open(f"{sys.argv[1]}/{name}.SNAPSHOT.schema.json"))
others = [load("spdx"), load("jsf-0.82")]
bom = load("bom-1.6")
store = {s["$id"]: s for s in [*others, bom]}
resolver = jsonschema.RefResolver(bom["$id"], bom, store)
jsonschema.Draft7Validator(bom, resolver=resolver).validate(json.load(open(sys.argv[2])))
`;
  execFileSync("python3", ["-W", "ignore", "-c", check, schema, `${temp.path}/bom.json`], { stdio: "pipe" });
});

test("makeSbom() refuses a tree without package database: an empty list would be a lie", async () => {
  expect(await codeOfAsync(() => sbomOf(null))).toBe("sbom.packages-missing");
});

test.each([
  [
    "dpkg",
    "bash",
    "5.2.15-2+b7",
    "amd64",
    { id: "debian", versionId: "12" },
    "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12",
  ],
  ["dpkg", "libstdc++6", "1:2~rc1", "", { id: "ubuntu" }, "pkg:deb/ubuntu/libstdc%2B%2B6@1:2~rc1"],
  [
    "rpm",
    "bash",
    "5.2.26-3.fc40",
    "x86_64",
    { id: "fedora", versionId: "40" },
    "pkg:rpm/fedora/bash@5.2.26-3.fc40?arch=x86_64&distro=fedora-40",
  ],
  [
    "rpm",
    "dbus",
    "1:1.14.10-3.fc40",
    "x86_64",
    { id: "fedora" },
    "pkg:rpm/fedora/dbus@1.14.10-3.fc40?arch=x86_64&epoch=1",
  ],
] as const)("packageUrl() of %s %s %s", (manager, name, version, architecture, distribution, expected) => {
  expect(packageUrl({ manager, name, version, architecture }, distribution)).toBe(expected);
});
