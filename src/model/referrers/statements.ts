import * as v from "valibot";
import { PREDICATE_TYPE, parseStatement, type Statement } from "../../formats/in-toto/index.ts";
import {
  type BlobDigest,
  blobDigestAlgorithm,
  blobDigestHex,
  type JsonValue,
  parseJson,
} from "../../formats/oci/index.ts";
import { VerificationError } from "../../lib/errors.ts";
import type { RemarkKind } from "./remark.ts";

export interface Description {
  readonly kind: RemarkKind;
  readonly says: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** CycloneDX and SPDX as their media types are registered. */
export const SBOM_MEDIA_TYPES = ["application/vnd.cyclonedx+json", "application/spdx+json"] as const;

/** Safety limit: the packages of a distribution have some tens of megabytes. */
const MAX_SBOM_SIZE = 64 * 1024 * 1024;

/**
 * What a statement says, when it is about this image.
 *
 * @throws {FormatError} `in-toto.statement.malformed`
 * @throws {VerificationError} `referrers.subject-differs`
 */
export function describeStatement(bytes: Uint8Array, subject: BlobDigest): Description {
  const statement = parseStatement(bytes);
  requireSubject(statement, subject);
  const { predicate, predicateType } = statement;
  const data = { predicateType };
  switch (predicateType) {
    case PREDICATE_TYPE.cosignSignature:
      return { kind: "signature", says: "signed", data };
    case PREDICATE_TYPE.provenance:
      return { kind: "provenance", ...describeProvenance(predicate, data) };
    case PREDICATE_TYPE.cycloneDx: {
      const { data: facts, says } = describeBom(predicate);
      return { kind: "sbom", says, data: { ...data, ...facts } };
    }
    default:
      return { kind: "attestation", says: predicateType, data };
  }
}

function requireSubject({ subject }: Statement, expected: BlobDigest): void {
  const digests = subject.map(({ digest }) => digest[blobDigestAlgorithm(expected)]);
  if (digests.includes(blobDigestHex(expected))) return;
  const found =
    digests
      .filter((digest) => digest !== undefined)
      .slice(0, 3)
      .join(", ") || "nothing with this hash";
  throw new VerificationError("referrers.subject-differs", `statement: it is about ${found}, expected ${expected}`, {
    data: { expected },
  });
}

const provenanceSchema = v.object({
  buildDefinition: v.object({
    buildType: v.string(),
    resolvedDependencies: v.nullish(
      v.array(v.object({ name: v.nullish(v.string()), digest: v.nullish(v.record(v.string(), v.string())) })),
    ),
  }),
  runDetails: v.object({ builder: v.object({ id: v.string() }) }),
});

function describeProvenance(predicate: unknown, data: Description["data"]): Omit<Description, "kind"> {
  const { output, success } = v.safeParse(provenanceSchema, predicate);
  if (!success) return { says: "provenance of another form than SLSA v1", data };
  const { buildDefinition, runDetails } = output;
  const base = buildDefinition.resolvedDependencies?.find(({ name }) => name === "base")?.digest?.["sha256"];
  const { id: builder } = runDetails.builder;
  return {
    says: `built by ${builder}${base === undefined ? "" : ` from sha256:${base}`}`,
    data: { ...data, builder, buildType: buildDefinition.buildType, ...(base && { base: `sha256:${base}` }) },
  };
}

/** @throws {FormatError} `referrers.sbom-malformed` */
export function describeSbom(bytes: Uint8Array, mediaType: (typeof SBOM_MEDIA_TYPES)[number]): Description {
  const value = parseJson(bytes, { what: "SBOM", code: "referrers.sbom-malformed", maxSize: MAX_SBOM_SIZE });
  const { data, says } = mediaType === "application/spdx+json" ? describeSpdx(value) : describeBom(value);
  return { kind: "sbom", says, data };
}

const bomSchema = v.object({
  bomFormat: v.literal("CycloneDX"),
  specVersion: v.string(),
  components: v.nullish(v.array(v.unknown())),
});

function describeBom(value: unknown): Omit<Description, "kind"> {
  const { output, success } = v.safeParse(bomSchema, value);
  if (!success) return { says: "a CycloneDX document of another form", data: {} };
  const { components, specVersion } = output;
  const count = components?.length ?? 0;
  return { says: `CycloneDX ${specVersion}, ${count} components`, data: { specVersion, components: count } };
}

const spdxSchema = v.object({ spdxVersion: v.string(), packages: v.nullish(v.array(v.unknown())) });

function describeSpdx(value: JsonValue): Omit<Description, "kind"> {
  const { output, success } = v.safeParse(spdxSchema, value);
  if (!success) return { says: "an SPDX document of another form", data: {} };
  const { packages, spdxVersion } = output;
  const count = packages?.length ?? 0;
  return { says: `${spdxVersion}, ${count} packages`, data: { spdxVersion, packages: count } };
}
