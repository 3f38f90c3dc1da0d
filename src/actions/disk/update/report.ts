import type { OsProblem } from "../../../model/os/index.ts";
import type { DiskReport } from "../report.ts";

/** What was done to a disk: for the summary people read and the JSON machines read. Sizes in bytes. */
export interface DiskUpdateReport extends Pick<DiskReport, "source" | "manifestDigest" | "output"> {
  readonly disk: string;
  readonly format: "raw" | "qcow2";
  /** Of the deployment that boots first. */
  readonly id: string;
  /** Null when the image boots first already, and nothing was written. */
  readonly update: DiskUpdate | null;
}

export interface DiskUpdate
  extends Pick<DiskReport, "size" | "fileSize" | "partitions" | "deployment" | "entry" | "esp" | "root"> {
  /** The deployment that stays beside the new one: what booted first so far, unless that is the same tree. */
  readonly kept: { readonly id: string; readonly entry: string } | null;
  /** Deployments that are gone. */
  readonly dropped: readonly string[];
  /** Paths below /etc that the host has changed, and that are so in the new deployment. */
  readonly etc: { readonly carried: readonly string[]; readonly removed: readonly string[] };
  readonly objects: Readonly<Record<"added" | "shared" | "removed", { readonly count: number; readonly size: number }>>;
  readonly warnings: readonly OsProblem[];
}
