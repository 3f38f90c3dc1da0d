import type { AttachmentKind } from "./kinds.ts";

/** One thing that was said about an image. */
export interface Attached {
  readonly kind: AttachmentKind;
  readonly digest: string;
  /** What it is found as: a type of artifact, or a tag. */
  readonly as: string;
  readonly signed: boolean;
  readonly says: string;
}

export interface AttachedTo {
  readonly manifestDigest: string;
  readonly platform?: string;
  readonly attached: readonly Attached[];
}
