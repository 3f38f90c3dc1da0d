/** The service as `signer serve` runs it, in this process. */
import type { SigningDesk } from "../../src/actions/signer-service/desk.ts";
import { type ServeOptions, serveSigning } from "../../src/server/serve.ts";
import type { CertificateFiles, TestAuthority } from "./certificates.ts";

export interface TestService extends AsyncDisposable {
  readonly url: string;
  /** Lines of its log. */
  readonly log: readonly string[];
  /** Ends it as a signal would. */
  stop(): Promise<void>;
}

export interface TestServiceOptions extends Partial<ServeOptions> {
  readonly queue: string;
  readonly desk: SigningDesk;
  readonly authority: TestAuthority;
  readonly server: CertificateFiles;
}

let owners = 0;

export async function startService(options: TestServiceOptions): Promise<TestService> {
  const { authority, desk, server, ...rest } = options;
  const stopping = new AbortController();
  const log: string[] = [];
  const listening = Promise.withResolvers<string>();
  const running = serveSigning({
    listen: "127.0.0.1:0",
    tls: { certificate: server.certificate, key: server.key, clientAuthority: authority.certificate },
    allowHttp: false,
    openDesk: () => Promise.resolve(desk),
    lifetimeMs: 60 * 60_000,
    owner: `server-${owners++}`,
    now: () => new Date(),
    write: (line) => void log.push(line),
    signal: stopping.signal,
    onListening: listening.resolve,
    ...rest,
  });
  running.catch(listening.reject);
  const url = await listening.promise;
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
  };
  return { url, log, stop, [Symbol.asyncDispose]: stop };
}
