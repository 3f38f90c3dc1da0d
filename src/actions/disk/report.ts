import type { OsProblem } from "../../model/os/index.ts";
import type { DiskFormat } from "./options.ts";

/** What was built: for the summary people read and the JSON machines read. Sizes in bytes. */
export interface DiskReport {
  readonly source: string;
  readonly manifestDigest: string;
  readonly output: string;
  readonly format: DiskFormat;
  /** Of the disk that a machine sees. */
  readonly size: number;
  /** Of the file; a raw one has holes. */
  readonly fileSize: number;
  readonly partitions: readonly { readonly name: string; readonly offset: number; readonly size: number }[];
  readonly deployment: {
    readonly id: string;
    /** Of the EROFS image. */
    readonly format: string;
    readonly bootType: "uki" | "bls";
    readonly bootDigest: string;
  };
  /** Of the boot loader, on the ESP. */
  readonly entry: string;
  readonly objects: { readonly count: number; readonly size: number };
  readonly esp: { readonly freeSize: number };
  readonly root: { readonly freeSize: number; readonly freeInodes: number };
  readonly warnings: readonly OsProblem[];
}
