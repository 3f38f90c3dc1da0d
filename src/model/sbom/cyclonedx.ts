import { createHash } from "node:crypto";
import type { Models } from "@cyclonedx/cyclonedx-library";
import { toHex } from "../../lib/bytes/numbers.ts";
import { NotFoundError, UnsupportedError } from "../../lib/errors.ts";
import { findOsRelease, type OsRelease, parseOsRelease } from "../os/index.ts";
import { findPackageDatabases, type Package, parsePackages } from "../packages/index.ts";
import type { TreeSource } from "../source/tree-source.ts";
import { packageUrl } from "./package-url.ts";

/** What an SBOM is about, and who wrote it. */
export interface SbomSubject {
  /** Of the image, as users name it. */
  readonly name: string;
  /** `sha256:…`, where there is a manifest. */
  readonly manifestDigest?: string | undefined;
  /** Of Sealwright. */
  readonly toolVersion: string;
  /** Absent: the document has no time, so that it can be made again. */
  readonly buildTime?: Date | undefined;
  /** More that is known of the image, by the names of CycloneDX properties. */
  readonly properties?: Readonly<Record<string, string>>;
}

export interface Sbom {
  /** CycloneDX 1.6, JSON. */
  readonly bytes: Uint8Array;
  /** Also inside: the document as a value. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly components: number;
}

/**
 * Lists the packages of a tree. Contents of the package databases are read from the source.
 *
 * @throws {NotFoundError} `sbom.packages-missing` for a tree without a package database: an empty list would be a lie
 * @throws {UnsupportedError} `rpmdb.berkeley-db`; `rpmdb.sqlite.log` when changes are in a log that is not read
 * @throws {FormatError} `dpkg.…`, `rpmdb.…`
 */
export async function makeSbom(source: TreeSource, subject: SbomSubject): Promise<Sbom> {
  const { os, packages } = await readPackages(source);
  const { Enums, Models, Serialize, Spec } = await import("@cyclonedx/cyclonedx-library");
  const { ComponentType } = Enums;

  const components = packages.map((each) => {
    const purl = packageUrl(each, os);
    return new Models.Component(ComponentType.Library, each.name, { version: each.version, purl, bomRef: purl });
  });
  const distribution = new Models.Component(ComponentType.OperatingSystem, os.id, {
    ...(os.versionId === undefined ? {} : { version: os.versionId }),
    description: os.name,
    bomRef: `os:${os.id}`,
  });
  const tool = new Models.Component(ComponentType.Application, "sealwright", { version: subject.toolVersion });
  const bom = new Models.Bom({
    components: new Models.ComponentRepository([distribution, ...withoutTwins(components)]),
    metadata: new Models.Metadata({
      component: describeImage(subject, Models, ComponentType.Container),
      tools: new Models.Tools({ components: new Models.ComponentRepository([tool]) }),
      ...(subject.buildTime === undefined ? {} : { timestamp: subject.buildTime }),
    }),
  });
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  const write = (): string => serializer.serialize(bom, { sortLists: true, space: 2 });
  bom.serialNumber = `urn:uuid:${uuidOf(write())}`;
  const text = write();
  return {
    bytes: Buffer.from(`${text}\n`),
    document: JSON.parse(text) as Readonly<Record<string, unknown>>,
    components: bom.components.size,
  };
}

function describeImage(
  { manifestDigest, name, properties = {} }: SbomSubject,
  models: typeof Models,
  type: Models.Component["type"],
): Models.Component {
  const list = Object.entries(properties).map(([key, value]) => new models.Property(key, value));
  return new models.Component(type, name, {
    ...(manifestDigest === undefined ? {} : { version: manifestDigest }),
    bomRef: "image",
    properties: new models.PropertyRepository(list),
  });
}

async function readPackages(source: TreeSource): Promise<{ os: OsRelease; packages: readonly Package[] }> {
  const databases = findPackageDatabases(source.tree);
  if (databases.length === 0) {
    throw new NotFoundError("sbom.packages-missing", `${source.name}: found no database of dpkg or RPM`, {
      hint: "an SBOM lists what package managers know",
    });
  }
  for (const { log } of databases) {
    if (log === undefined) continue;
    throw new UnsupportedError(
      "rpmdb.sqlite.log",
      `${source.name}: ${log}: found changes that were not written to the database, which are not read`,
    );
  }
  const release = findOsRelease(source.tree);
  const wanted = [...databases.map(({ content }) => content), ...(release === undefined ? [] : [release.content])];
  const bytes = await source.read(wanted);
  return {
    os: parseOsRelease(release === undefined ? new Uint8Array() : (bytes.at(-1) as Uint8Array)),
    packages: databases.flatMap((database, index) => parsePackages(database, bytes[index] as Uint8Array)),
  };
}

/** A package that two databases list is one component: references have to be unique. */
function withoutTwins(components: readonly Models.Component[]): readonly Models.Component[] {
  return [...new Map(components.map((component) => [component.bomRef.value, component])).values()];
}

/** A UUID that follows from the text: version 8, "custom" (RFC 9562, 5.8). */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
