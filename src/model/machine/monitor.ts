import { createConnection, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { InputOutputError } from "../../lib/errors.ts";
import { pause } from "../host-io/process.ts";

/** QEMU's monitor, over its socket. */
export interface Monitor extends Disposable {
  /** @throws {InputOutputError} `machine.monitor.refused`, `machine.monitor.closed` */
  execute(command: string, parameters?: Readonly<Record<string, unknown>>): Promise<unknown>;
}

interface Reply {
  readonly return?: unknown;
  readonly error?: { readonly desc?: string };
}

/**
 * Connects to a monitor, which may take QEMU a moment to open.
 *
 * @throws {InputOutputError} `machine.monitor.unreachable` when it is not there within `patienceMs`
 * @see QEMU docs/interop/qmp-spec.rst
 */
export async function openMonitor(path: string, patienceMs = 0): Promise<Monitor> {
  const socket = await connect(path, patienceMs);
  const waiting: { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }[] = [];
  socket.on("error", () => {});
  socket.on("close", () => {
    for (const { reject } of waiting.splice(0)) reject(closed());
  });
  const lines = createInterface({ input: socket });
  lines.on("error", () => {}); // it passes on those of the socket, which end in "close"
  lines.on("line", (line) => {
    const message = parseReply(line);
    if (message === undefined) return; // greeting or event
    const { error, return: value } = message;
    const next = waiting.shift();
    if (error === undefined) next?.resolve(value);
    else next?.reject(new InputOutputError("machine.monitor.refused", `QEMU: ${error.desc ?? "refused"}`));
  });
  const execute = (command: string, parameters = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(closed());
      waiting.push({ resolve, reject });
      socket.write(`${JSON.stringify({ execute: command, arguments: parameters })}\n`);
    });
  await execute("qmp_capabilities");
  return { execute, [Symbol.dispose]: () => void socket.destroy() };
}

const closed = (): Error => new InputOutputError("machine.monitor.closed", "QEMU closed its monitor");

function parseReply(line: string): Reply | undefined {
  try {
    const message = JSON.parse(line) as Reply & Record<string, unknown>;
    return "return" in message || "error" in message ? message : undefined;
  } catch {
    return undefined;
  }
}

async function connect(path: string, patienceMs: number): Promise<Socket> {
  for (let waited = 0; ; waited += 50) {
    try {
      return await connectOnce(path);
    } catch (cause) {
      if (waited >= patienceMs) {
        throw new InputOutputError("machine.monitor.unreachable", "QEMU does not answer on its monitor", { cause });
      }
    }
    await pause(50);
  }
}

function connectOnce(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/**
 * Asks which port of the loopback address QEMU chose for port 22 of the guest.
 *
 * @param published ports that were asked for by number, which may lead there, too
 */
export async function forwardedPort(monitor: Monitor, published: readonly number[] = []): Promise<number | undefined> {
  const answer = await monitor.execute("human-monitor-command", { "command-line": "info usernet" });
  const lines = String(answer).matchAll(/HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22\b/g);
  return [...lines].map(([, port]) => Number(port)).find((port) => !published.includes(port));
}
