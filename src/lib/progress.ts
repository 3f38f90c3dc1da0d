/** One step of long work, reported by the library and drawn by whoever listens. */
export interface ProgressEvent {
  /** Stable name of the step, for machines: `layers.read`, `uki.build`. */
  readonly step: string;
  /** What is happening, for people. */
  readonly text: string;
  /** Work done and to do, in `unit`; absent when it is a single event. */
  readonly done?: number;
  readonly total?: number;
  readonly unit?: "bytes" | "files" | "layers";
}

export type Progress = (event: ProgressEvent) => void;

export const silent: Progress = () => {};
