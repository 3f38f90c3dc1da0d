import type { OsProblem } from "../../model/os/index.ts";

/** What sealing did: for the summary people read and the JSON machines read. */
export interface SealReport {
  readonly source: string;
  readonly sourceManifest: string;
  readonly destination: string;
  readonly manifestDigest: string;
  /** Composefs digest of the sealed tree, lower-case hex. */
  readonly digest: string;
  readonly format: string;
  readonly kernel: { readonly version: string /** Also in the tree. */; readonly kept: boolean };
  readonly bootLoader: { readonly path: string; readonly authenticodeDigest: string; readonly signedBefore: boolean };
  readonly uki: {
    readonly path: string;
    readonly size: number;
    readonly authenticodeDigest: string;
    readonly commandLine: string;
    readonly stub: string;
  };
  readonly signer: { readonly subject: string; readonly fingerprint: string; readonly ephemeral: boolean };
  readonly layer: { readonly digest: string; readonly size: number };
  readonly reusedLayers: { readonly count: number; readonly size: number };
  readonly warnings: readonly OsProblem[];
}
