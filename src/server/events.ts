/** Server-sent events (WHATWG HTML, 9.2). */
import type { Watcher } from "./watcher.ts";

/** Keeps proxies from ending a silent connection. */
const HEARTBEAT_MS = 15_000;

/** @param signal ends the stream */
export function eventStream(watcher: Watcher, signal: AbortSignal): Response {
  const encoder = new TextEncoder();
  const over = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const send = (text: string): void => controller.enqueue(encoder.encode(text));
      const stop = watcher.listen((change) => send(`event: change\ndata: ${JSON.stringify(change)}\n\n`));
      const heartbeat = setInterval(() => send(": still here\n\n"), HEARTBEAT_MS);
      const close = (): void => controller.close();
      signal.addEventListener("abort", close, { signal: over.signal });
      for (const ended of [signal, over.signal]) {
        ended.addEventListener("abort", () => {
          stop();
          clearInterval(heartbeat);
        });
      }
      send("retry: 2000\n\n");
    },
    cancel: () => over.abort(),
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
}
