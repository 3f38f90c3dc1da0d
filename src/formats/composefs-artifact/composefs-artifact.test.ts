import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { FormatError } from "../../lib/errors.ts";
import {
  ARTIFACT_ROLES,
  artifactAnnotation,
  formattedDigest,
  parseArtifactAnnotation,
  parseArtifactLayers,
} from "./index.ts";

const HEX = "ab".repeat(64);

test("artifactAnnotation() gives the names of the draft", () => {
  expect(ARTIFACT_ROLES.map((role) => artifactAnnotation(role, "sha512"))).toEqual([
    "composefs.manifest.fsverity-sha512-12",
    "composefs.config.fsverity-sha512-12",
    "composefs.merged.erofs.v1.fsverity-sha512-12",
    "composefs.merged.bootable.erofs.v1.fsverity-sha512-12",
  ]);
});

test("parseArtifactAnnotation() reads what artifactAnnotation() names", () => {
  fc.assert(
    fc.property(fc.constantFrom(...ARTIFACT_ROLES), fc.constantFrom("sha256", "sha512"), (role, algorithm) => {
      const hex = HEX.slice(0, algorithm === "sha256" ? 64 : 128);
      expect(parseArtifactAnnotation(artifactAnnotation(role, algorithm), hex)).toEqual({ role, algorithm, hex });
    }),
  );
});

test.each([
  "org.opencontainers.image.version",
  "composefs.layer.erofs.v1.fsverity-sha512-12",
  "composefs.merged.erofs.v2.fsverity-sha512-12",
  "composefs.merged.fsverity-sha512-12",
  "composefs.config.erofs.v1.fsverity-sha512-12",
  "composefs.merged.erofs.v1.fsverity-sha512-16",
  "composefs.merged.erofs.v1.fsverity-sha512-12.sig",
])("parseArtifactAnnotation() passes over %s", (name) => {
  expect(parseArtifactAnnotation(name, "whatever")).toBeUndefined();
});

test.each(["", "AB".repeat(64), HEX.slice(2), `${HEX}ab`])(
  "parseArtifactAnnotation() refuses the digest %j",
  (value) => {
    const name = artifactAnnotation("merged", "sha512");
    expect(codeOf(() => parseArtifactAnnotation(name, value))).toBe("composefs.artifact.malformed");
  },
);

const layer = (...roles: readonly (readonly [(typeof ARTIFACT_ROLES)[number], "sha256" | "sha512"])[]) =>
  roles.map(([role, algorithm]) => ({
    annotations: { [artifactAnnotation(role, algorithm)]: HEX.slice(0, algorithm === "sha256" ? 64 : 128) },
  }));

test.each([
  ["nothing", [], "incomplete"],
  ["no merged tree", layer(["manifest", "sha512"], ["merged.bootable", "sha512"]), "incomplete"],
  ["two algorithms", layer(["merged", "sha256"], ["merged.bootable", "sha512"]), "algorithms"],
  ["another order", layer(["merged", "sha512"], ["config", "sha512"]), "order"],
  ["a role twice", layer(["merged", "sha512"], ["merged", "sha512"]), "order"],
])("parseArtifactLayers() refuses %s", (_, layers, code) => {
  expect(codeOf(() => parseArtifactLayers(layers))).toBe(`composefs.artifact.${code}`);
});

test("parseArtifactLayers() answers anything with digests or a FormatError", () => {
  const name = fc.oneof(
    fc.string(),
    fc.constantFrom(...ARTIFACT_ROLES.map((role) => artifactAnnotation(role, "sha256"))),
  );
  const value = fc.oneof(fc.string(), fc.constant(HEX.slice(64)));
  fc.assert(
    fc.property(fc.array(fc.record({ annotations: fc.dictionary(name, value) })), (layers) => {
      try {
        parseArtifactLayers(layers);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
  );
});

test("formattedDigest() is the struct of the kernel", () => {
  const bytes = formattedDigest("sha256", new Uint8Array(32).fill(7));
  expect(Buffer.from(bytes).toString("hex")).toBe(`465356657269747901002000${"07".repeat(32)}`);
});
