/** A program for the tests of the pool. */
import { threadId } from "node:worker_threads";
import { serve } from "../src/lib/hash/serve.ts";

let calls = 0;

serve((job: { readonly kind: string; readonly text?: string }) => {
  calls++;
  switch (job.kind) {
    case "echo":
      return job.text;
    case "thread":
      return { thread: threadId, calls };
    case "throw":
      throw Object.assign(new Error(`no ${job.text}`), { code: "ENOENT" });
    case "sleep":
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      return undefined;
    default:
      return process.exit(3);
  }
});
