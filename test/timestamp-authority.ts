/** `openssl ts` behind HTTP: a timestamping authority as RFC 3161 §3.4 has it, for tests. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

export interface TimestampAuthority extends AsyncDisposable {
  readonly url: string;
  /** PEM. */
  readonly certificatePath: string;
  /** Answers a query, both as DER. */
  reply(query: Uint8Array): Buffer;
  /** Answers in the place of the authority. */
  override: ((query: Uint8Array) => Uint8Array) | undefined;
}

const CONFIGURATION = `
[tsa]
default_tsa = settings
[settings]
serial = ./serial
crypto_device = builtin
signer_cert = ./tsa.crt
signer_key = ./tsa.key
certs = ./tsa.crt
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[request]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = test timestamps
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
`;

export async function startTimestampAuthority(directory: string): Promise<TimestampAuthority> {
  const place = join(directory, "tsa");
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "tsa.cnf"), CONFIGURATION);
  writeFileSync(join(place, "serial"), "01\n");
  const openssl = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { cwd: place, stdio: "pipe" });
  };
  const files = ["-keyout", "tsa.key", "-out", "tsa.crt"];
  openssl(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "30",
    "-config",
    "tsa.cnf",
    "-section",
    "request",
    ...files,
  );
  const reply = (query: Uint8Array): Buffer => {
    writeFileSync(join(place, "query"), query);
    openssl("ts", "-reply", "-config", "tsa.cnf", "-section", "settings", "-queryfile", "query", "-out", "answer");
    return readFileSync(join(place, "answer"));
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.method !== "POST" || request.headers["content-type"] !== "application/timestamp-query") {
        response.writeHead(415).end();
        return;
      }
      const query = Buffer.concat(chunks);
      response.writeHead(200, { "content-type": "application/timestamp-reply" });
      response.end(authority.override?.(query) ?? reply(query));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const authority: TimestampAuthority = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    certificatePath: join(place, "tsa.crt"),
    reply,
    override: undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return authority;
}
