import type { SealReport } from "../seal/report.ts";

/** What became of one platform of an index. */
export interface SealedPlatform {
  /** `linux/arm64`; absent where the index does not say. */
  readonly platform?: string;
  readonly report: SealReport;
}

export interface KeptManifest {
  readonly platform?: string;
  readonly digest: string;
  /** Why it was not sealed. */
  readonly code: string;
  readonly reason: string;
}

/** What sealing an index did. */
export interface SealIndexReport {
  readonly source: string;
  readonly sourceIndex: string;
  readonly destination: string;
  /** Of the new index. */
  readonly manifestDigest: string;
  readonly mediaType: string;
  readonly sealed: readonly SealedPlatform[];
  /** In the new index as they were. */
  readonly kept: readonly KeptManifest[];
}
