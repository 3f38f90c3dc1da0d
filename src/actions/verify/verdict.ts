import type { ChainVerdict } from "../../model/verdict/verdict.ts";

/** The links of an image. */
export const LINKS = {
  blobs: "image",
  uki: "UKI",
  "uki-signature": "UKI signature",
  "command-line": "command line",
  digest: "digest",
  "boot-loader": "boot loader",
  certificate: "certificate",
} as const;

export type LinkName = keyof typeof LINKS;

export interface Verdict extends ChainVerdict<LinkName> {
  readonly image: string;
  readonly manifestDigest?: string;
  /** The digests that hold, recomputed: lower-case hex by format. */
  readonly digests?: Readonly<Record<string, string>>;
}
