import { showSize } from "../lib/bytes/numbers.ts";
import type { ProgressEvent } from "../lib/progress.ts";

export interface ProgressRenderer {
  report(event: ProgressEvent): void;
  end(): void;
}

interface ErrorStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A redrawn line on a terminal; in a pipe a plain line for each step, and for each quarter of a long one. */
export function createProgressRenderer(stream: ErrorStream, now: () => number): ProgressRenderer {
  return stream.isTTY === true ? terminalRenderer(stream, now) : plainRenderer(stream);
}

function plainRenderer(stream: ErrorStream): ProgressRenderer {
  let last = "";
  let quarter = 0;
  return {
    report(event) {
      const { done = 0, text, total = 0 } = event;
      const reached = total === 0 ? 0 : Math.floor((4 * done) / total);
      if (text === last && reached <= quarter) return;
      stream.write(`${text === last || reached > 0 ? progressLine(event) : text}\n`);
      last = text;
      quarter = reached;
    },
    end() {},
  };
}

/** Redraws at most this often. */
const FRAME_MS = 80;

function terminalRenderer(stream: ErrorStream, now: () => number): ProgressRenderer {
  let drawnAt = 0;
  let startedAt = 0;
  let open = "";
  const draw = (line: string) => stream.write(`\r\u001b[K${line.slice(0, (stream.columns ?? 80) - 1)}`);
  return {
    report(event) {
      const sameStep = open === event.text;
      if (!sameStep) startedAt = now();
      const line = `${progressLine(event)}${showRate(event, now() - startedAt)}`;
      if (open !== "" && !sameStep) stream.write("\n");
      if (!sameStep || now() - drawnAt >= FRAME_MS || event.done === event.total) {
        draw(line);
        drawnAt = now();
      }
      open = event.text;
    },
    end() {
      if (open !== "") stream.write("\n");
      open = "";
    },
  };
}

/** Of bytes, once there has been time to tell. */
function showRate({ done = 0, unit }: ProgressEvent, elapsedMs: number): string {
  return unit === "bytes" && elapsedMs >= 1000 ? `  ${showSize(Math.round((1000 * done) / elapsedMs))}/s` : "";
}

function progressLine({ text, done, total, unit }: ProgressEvent): string {
  if (done === undefined) return text;
  const amount = (value: number) => (unit === "bytes" ? showSize(value) : String(value));
  if (total === undefined || total === 0) return `${text}  ${amount(done)}`;
  const percent = Math.floor((100 * Math.min(done, total)) / total);
  return `${text}  ${String(percent).padStart(3)} %  ${amount(done)} of ${amount(total)}`;
}
