import type { OsProblem } from "../../model/os/index.ts";
import type { MendedLayer } from "./declare-parents.ts";
import type { Change } from "./normalize.ts";

/** What sealing did: for the summary people read and the JSON machines read. */
export interface SealReport {
  readonly source: string;
  readonly sourceManifest: string;
  readonly destination: string;
  readonly manifestDigest: string;
  /** Composefs digest of the sealed tree, lower-case hex. */
  readonly digest: string;
  /** Of that digest. */
  readonly format: string;
  /** Every digest on the command line, lower-case hex by format; the first is `digest`. */
  readonly digests: Readonly<Record<string, string>>;
  /** Path and bytes of the dump of the sealed tree in the image. */
  readonly dump?: { readonly path: string; readonly size: number };
  /** What was made the same for every tool, and what was not; absent when it was not asked for. */
  readonly normalization?: {
    readonly changes: readonly Change[];
    readonly left: readonly Change[];
    readonly mendedLayers: readonly MendedLayer[];
  };
  readonly kernel: { readonly version: string /** Also in the tree. */; readonly kept: boolean };
  readonly bootLoader: { readonly path: string; readonly authenticodeDigest: string; readonly signedBefore: boolean };
  readonly uki: {
    readonly path: string;
    readonly size: number;
    readonly authenticodeDigest: string;
    readonly commandLine: string;
    readonly stub: string;
  };
  /** Addons that were signed and shipped; absent without any. */
  readonly addons?: readonly { readonly path: string; readonly commandLine: string }[];
  readonly signer: { readonly subject: string; readonly fingerprint: string; readonly ephemeral: boolean };
  /** Those that signed everything as well, while keys change; absent without any. */
  readonly signersBeside?: readonly { readonly subject: string; readonly fingerprint: string }[];
  readonly layer: { readonly digest: string; readonly size: number };
  readonly reusedLayers: { readonly count: number; readonly size: number };
  readonly warnings: readonly OsProblem[];
}
