/**
 * A service of its own process, on a queue that others use as well; says its address on standard output and, each time
 * that it signs, the request. Arguments: queue, directory of certificates, public keys of approvers, and whether it dies
 * (`die`) right after it has signed for the first time.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parsePublicKey } from "../../src/formats/x509/index.ts";
import { serveSigning } from "../../src/server/serve.ts";
import { StandInDesk } from "./stand-in.ts";

const [queue = "", directory = "", approvers = "", fate = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(directory, name), "utf8");
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const stopping = new AbortController();
process.on("SIGTERM", () => stopping.abort());

const desk = new StandInDesk({
  approvers: (JSON.parse(approvers) as [string, string][]).map(([name, spki]) => ({
    name,
    key: parsePublicKey(Buffer.from(spki, "base64")),
  })),
  quorum: 3,
  async beforeSigning({ request }) {
    say(`signing ${request.id}`);
    // What was signed is lost with this process: nobody has heard of it.
    if (fate === "die") process.kill(process.pid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 5));
  },
});
await serveSigning({
  queue,
  openDesk: () => Promise.resolve(desk),
  listen: "127.0.0.1:0",
  tls: { certificate: read("server.crt"), key: read("server.key"), clientAuthority: undefined },
  allowHttp: false,
  lifetimeMs: 60 * 60_000,
  owner: `process-${process.pid}`,
  // Others wait for the end of its lease.
  ...(fate === "die" ? { leaseMs: 1000 } : {}),
  now: () => new Date(),
  write: (line) => void process.stderr.write(line),
  signal: stopping.signal,
  onListening: (url) => void say(`listening ${url}`),
});
