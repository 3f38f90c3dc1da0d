import type { BlobDigest } from "../../formats/oci/index.ts";

export type RemarkKind = "signature" | "provenance" | "sbom" | "attestation" | "composefs" | "other";

/** What came of the signature of a remark. */
export type SignatureVerdict =
  /** By a key that the user named. */
  | { readonly status: "good"; readonly by: string }
  /** Of no key that the user named. */
  | { readonly status: "unknown-key" }
  | { readonly status: "unsigned" }
  /** It is signed, and nobody asked for whom: no key was named. */
  | { readonly status: "unchecked" };

/** One thing that is said about an image. */
export interface Remark {
  readonly kind: RemarkKind;
  /** Of the manifest that carries it. */
  readonly digest: BlobDigest;
  readonly artifactType: string;
  /** The tag, where it was not found as a referrer. */
  readonly tag?: string;
  readonly signature: SignatureVerdict;
  /** What it says, for people. */
  readonly says: string;
  /** What it says, for machines. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Why it is not true of this image, or cannot be read: nothing of it counts then, whoever signed it. */
  readonly fault?: { readonly code: string; readonly message: string };
}
