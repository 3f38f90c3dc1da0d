/** A file to be written; `C` is whatever the caller uses to find its bytes again. */
export interface FatFile<C> {
  readonly kind: "file";
  readonly size: number;
  readonly content: C;
  /** Seconds since 1970 (UTC); the time of the volume when absent. */
  readonly modified?: number;
}

export interface FatDirectory<C> {
  readonly kind: "directory";
  /** Unordered; names are one when they differ only in case. */
  readonly entries: ReadonlyMap<string, FatNode<C>>;
}

export type FatNode<C> = FatFile<C> | FatDirectory<C>;
