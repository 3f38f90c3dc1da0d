/** Something about an OS tree that stands in the way of sealing, or that its owner should know. */
export interface OsProblem {
  /** Stable cause code, as errors have it. */
  readonly code: string;
  /** One sentence: place, found, expected. */
  readonly message: string;
  /** Absolute path of what it is about. */
  readonly path?: string;
  /** What to do about it. */
  readonly hint?: string;
}
