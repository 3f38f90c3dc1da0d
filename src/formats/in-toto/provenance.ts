/** SLSA provenance v1: what something was built from, and how (slsa.dev/spec/v1.0/provenance). */

export const PREDICATE_TYPE = {
  provenance: "https://slsa.dev/provenance/v1",
  cycloneDx: "https://cyclonedx.org/bom",
  /** Of a statement that says no more than "signed". */
  cosignSignature: "https://sigstore.dev/cosign/sign/v1",
} as const;

/** Something the build took or gave. */
export interface ResourceDescriptor {
  readonly name?: string;
  readonly uri?: string;
  readonly mediaType?: string;
  readonly digest?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

export interface Provenance {
  /** URI of a description of what the parameters mean. */
  readonly buildType: string;
  /** What the user chose. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly dependencies: readonly ResourceDescriptor[];
  /** URI of who is trusted to have done it so. */
  readonly builder: string;
  readonly builderVersion: Readonly<Record<string, string>>;
  readonly byproducts: readonly ResourceDescriptor[];
  /** Absent: the build has no time, so that it can be repeated. */
  readonly startedOn?: Date | undefined;
}

export function provenancePredicate(of: Provenance): unknown {
  return {
    buildDefinition: {
      buildType: of.buildType,
      externalParameters: of.parameters,
      resolvedDependencies: of.dependencies,
    },
    runDetails: {
      builder: { id: of.builder, version: of.builderVersion },
      ...(of.startedOn === undefined
        ? {}
        : { metadata: { startedOn: of.startedOn.toISOString().replace(/\.\d+Z$/, "Z") } }),
      byproducts: of.byproducts,
    },
  };
}
