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

/** What was asked for with `all` and cannot be said of this image. */
export interface Skipped {
  readonly kind: AttachmentKind;
  readonly code: string;
  readonly reason: string;
}

export interface Attachments {
  readonly attached: readonly Attached[];
  readonly skipped: readonly Skipped[];
}

export interface AttachedTo extends Attachments {
  readonly manifestDigest: string;
  readonly platform?: string;
}
