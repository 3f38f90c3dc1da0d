/** Stands between a client and a registry on loopback and does what networks and bad registries do. */
import { createServer, type IncomingMessage, type ServerResponse, request as sendRequest } from "node:http";
import { listening, type TestServer } from "./servers.ts";

export type Fault =
  /** An answer instead of the registry's. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The connection ends after so many bytes of the answer's body. */
  | { readonly kind: "drop-answer"; readonly after: number }
  /** The connection ends after so many bytes of the request's body. */
  | { readonly kind: "drop-request"; readonly after: number }
  /** So many bytes of the answer's body, or not even its head when there are none, and then nothing. */
  | { readonly kind: "stall"; readonly after: number }
  /** One byte of the answer's body is another. */
  | { readonly kind: "corrupt"; readonly at: number }
  /** The answer has bytes more, and says so. */
  | { readonly kind: "longer"; readonly by: number }
  /** So many bytes less, as if that were all. */
  | { readonly kind: "shorter"; readonly by: number };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** Bytes of the body that came through. */
  size: number;
}

export interface FaultProxy extends TestServer {
  readonly seen: SeenRequest[];
  /** Decides for each request; what it gives nothing for goes through. */
  fault: (request: SeenRequest) => Fault | undefined;
}

/** Requests in one test: a client that asks without end is stopped, and fails. */
const MAX_REQUESTS = 300;

export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const [hostname = "", port = ""] = upstream.split(":");
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const entry: SeenRequest = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      size: 0,
    };
    seen.push(entry);
    request.on("data", (chunk: Buffer) => {
      entry.size += chunk.length;
    });
    const fault = seen.length > MAX_REQUESTS ? ({ kind: "answer", status: 418 } as const) : proxy.fault(entry);
    if (fault?.kind === "answer") {
      request.resume();
      response.writeHead(fault.status, fault.headers ?? {}).end(fault.body);
      return;
    }
    const { headers, method, url: path } = request;
    const onward = sendRequest({ hostname, port, method, path, headers }, (answer) => relay(answer, response, fault));
    onward.on("error", () => response.destroy());
    if (fault?.kind !== "drop-request") {
      request.pipe(onward);
      return;
    }
    request.on("data", (chunk: Buffer) => {
      const left = fault.after - (entry.size - chunk.length);
      if (left > 0) onward.write(chunk.subarray(0, left));
      if (entry.size >= fault.after) {
        request.destroy();
        onward.end();
        onward.destroy();
      }
    });
  });
  const proxy: FaultProxy = { ...(await listening(server)), seen, fault: () => undefined };
  return proxy;
}

function relay(answer: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
  if (fault === undefined || fault.kind === "drop-request") {
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
    return;
  }
  const chunks: Buffer[] = [];
  answer.on("data", (chunk: Buffer) => chunks.push(chunk));
  answer.on("end", () => {
    const bytes = Buffer.concat(chunks);
    const send = (body: Buffer): void => {
      response.writeHead(answer.statusCode ?? 500, { ...answer.headers, "content-length": String(body.length) });
      response.end(body);
    };
    switch (fault.kind) {
      case "drop-answer":
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        response.write(bytes.subarray(0, fault.after), () => response.destroy());
        break;
      case "stall":
        if (fault.after === 0) break;
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        response.write(bytes.subarray(0, fault.after));
        break;
      case "corrupt":
        bytes.writeUInt8((bytes.readUInt8(fault.at) + 1) % 256, fault.at);
        send(bytes);
        break;
      case "longer":
        send(Buffer.concat([bytes, Buffer.alloc(fault.by)]));
        break;
      default:
        if (fault.kind === "shorter") send(bytes.subarray(0, bytes.length - fault.by));
    }
  });
}

/** A fault for the first `count` requests that fit. */
export function times(count: number, fits: (request: SeenRequest) => boolean, fault: Fault): FaultProxy["fault"] {
  let left = count;
  return (request) => {
    if (left === 0 || !fits(request)) return undefined;
    left -= 1;
    return fault;
  };
}
