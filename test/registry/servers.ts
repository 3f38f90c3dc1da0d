/** Real servers on loopback: Debian's docker-registry, a token service before it, certificates for both. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash, createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, Server as HttpServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

export interface TestServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
}

export interface TestRegistry extends TestServer {
  readonly directory: string;
  /** PEM of the authority, with TLS. */
  readonly authority: string | undefined;
}

export interface RegistrySetup {
  readonly tls?: boolean;
  /** Only clients with a certificate of the same authority. */
  readonly clients?: boolean;
  /** User and password of the one account. */
  readonly basic?: readonly [user: string, password: string];
  readonly token?: { readonly realm: string; readonly certificate: string };
}

/** Starts Debian's docker-registry (distribution 2.8) with an empty store. */
export async function startRegistry(setup: RegistrySetup = {}): Promise<TestRegistry> {
  const directory = mkdtempSync(join(tmpdir(), "sealwright-registry-"));
  const host = `127.0.0.1:${await freePort()}`;
  const tls = setup.tls ? makeServerCertificate(directory) : undefined;
  if (setup.basic) {
    const [user, password] = setup.basic;
    writeFileSync(join(directory, "htpasswd"), execFileSync("htpasswd", ["-Bbn", user, password]));
  }
  if (setup.token) writeFileSync(join(directory, "token.crt"), setup.token.certificate);
  writeFileSync(join(directory, "config.yml"), registryConfig(directory, host, setup));
  const child = spawn("docker-registry", ["serve", join(directory, "config.yml")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said: string[] = [];
  child.stderr?.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  await untilListening(host, child, said);
  return {
    host,
    directory,
    authority: tls,
    async [Symbol.asyncDispose]() {
      await stop(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function registryConfig(directory: string, host: string, { basic, clients, tls, token }: RegistrySetup): string {
  const config = {
    version: "0.1",
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(directory, "store") }, delete: { enabled: true } },
    http: {
      addr: host,
      secret: "of a test",
      relativeurls: true,
      ...(tls
        ? {
            tls: {
              certificate: join(directory, "server.crt"),
              key: join(directory, "server.key"),
              ...(clients ? { clientcas: [join(directory, "authority.crt")] } : {}),
            },
          }
        : {}),
    },
    ...(basic ? { auth: { htpasswd: { realm: "test", path: join(directory, "htpasswd") } } } : {}),
    ...(token
      ? {
          auth: {
            token: {
              realm: token.realm,
              service: SERVICE,
              issuer: ISSUER,
              rootcertbundle: join(directory, "token.crt"),
            },
          },
        }
      : {}),
  };
  return JSON.stringify(config); // which is YAML
}

const SERVICE = "test registry";
const ISSUER = "test issuer";

export interface TokenService extends TestServer {
  /** PEM of the key that signs. */
  readonly certificate: string;
  /** Every question, as it came. */
  readonly asked: {
    readonly method: string;
    readonly scopes: readonly string[];
    readonly authorization: string | undefined;
  }[];
}

/** Seconds that a token lives. */
const TOKEN_LIFE = 300;

/**
 * The token service of distribution docs/spec/auth/token.md and oauth.md: one account, which may do everything, and one
 * identity token; others get a token that allows nothing.
 */
export async function startTokenService(
  [user, password]: readonly [string, string],
  identityToken: string,
): Promise<TokenService> {
  const directory = mkdtempSync(join(tmpdir(), "sealwright-token-"));
  makeSelfSigned(directory, "token");
  const certificate = readFileSync(join(directory, "token.crt"), "utf8");
  const key = createPrivateKey(readFileSync(join(directory, "token.key")));
  rmSync(directory, { recursive: true });
  const asked: TokenService["asked"] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const url = new URL(request.url ?? "/", "http://localhost");
      const form = request.method === "POST" ? new URLSearchParams(body) : url.searchParams;
      const scopes = form.getAll("scope").flatMap((scope) => scope.split(" "));
      asked.push({ method: request.method ?? "", scopes, authorization: request.headers.authorization });
      const expected = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
      const known = request.headers.authorization === expected || form.get("refresh_token") === identityToken;
      if (!known && (request.headers.authorization !== undefined || request.method === "POST")) {
        response.writeHead(401).end();
        return;
      }
      const token = makeJwt(key, certificate, known ? scopes : []);
      const answer = request.method === "POST" ? { access_token: token } : { token };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ ...answer, expires_in: TOKEN_LIFE }));
    });
  });
  return { ...(await listening(server)), certificate, asked };
}

/** A JSON Web Token as distribution wants it (docs/spec/auth/jwt.md). */
function makeJwt(key: ReturnType<typeof createPrivateKey>, certificate: string, scopes: readonly string[]): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const access = scopes.map((scope) => {
    const [, type, name, actions = ""] = /^([^:]*):(.*):([^:]*)$/.exec(scope) ?? [];
    return { type, name, actions: actions.split(",") };
  });
  const header = encode({ typ: "JWT", alg: "ES256", x5c: [new X509Certificate(certificate).raw.toString("base64")] });
  const claims = encode({
    iss: ISSUER,
    sub: "test",
    aud: SERVICE,
    exp: now + TOKEN_LIFE,
    nbf: now - 10,
    iat: now,
    jti: randomUUID(),
    access,
  });
  const signature = sign("sha256", Buffer.from(`${header}.${claims}`), { key, dsaEncoding: "ieee-p1363" });
  return `${header}.${claims}.${signature.toString("base64url")}`;
}

/** Starts listening on loopback; disposing ends every connection. */
export async function listening(server: Server): Promise<TestServer> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      if (server instanceof HttpServer) server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export async function readBytes(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function readBody(request: IncomingMessage): Promise<string> {
  return Buffer.from(await readBytes(request)).toString("utf8");
}

function makeSelfSigned(directory: string, name: string, extra: readonly string[] = []): void {
  const out = ["-keyout", join(directory, `${name}.key`), "-out", join(directory, `${name}.crt`)];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${name}`];
  execFileSync("openssl", ["req", "-x509", "-days", "2", ...kind, ...out, ...extra], { stdio: "pipe" });
}

/** A private authority and the certificate it gives to 127.0.0.1; returns the authority. */
function makeServerCertificate(directory: string): string {
  makeSelfSigned(directory, "authority");
  const authority = ["-CA", join(directory, "authority.crt"), "-CAkey", join(directory, "authority.key")];
  const names = [
    "-addext",
    "subjectAltName=IP:127.0.0.1,DNS:localhost",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ];
  makeSelfSigned(directory, "server", [...authority, ...names]);
  makeSelfSigned(directory, "client", authority);
  return readFileSync(join(directory, "authority.crt"), "utf8");
}

export async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function untilListening(host: string, child: ChildProcess, said: readonly string[]): Promise<void> {
  const port = Number(host.split(":")[1]);
  for (let tries = 0; tries < 100; tries++) {
    if (child.exitCode !== null) break;
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (open) return;
    await wait(50);
  }
  await stop(child);
  throw new Error(`no registry listens on ${host}: ${said.join("")}`);
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

/** A home directory with credentials and certificates, as skopeo and Sealwright look for them. */
export class TestHome implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "sealwright-home-"));

  readonly env = { XDG_CONFIG_HOME: join(this.path, "config"), XDG_RUNTIME_DIR: join(this.path, "run") };

  trust(host: string, authority: string): void {
    this.write(`config/containers/certs.d/${host}/ca.crt`, authority);
  }

  /** Who the user is to a registry that wants to know it by certificate. */
  identify(host: string, certificate: string, key: string): void {
    this.write(`config/containers/certs.d/${host}/client.cert`, certificate);
    this.write(`config/containers/certs.d/${host}/client.key`, key);
  }

  logIn(host: string, entry: Readonly<Record<string, string>>): void {
    this.write("run/containers/auth.json", JSON.stringify({ auths: { [host]: entry } }));
  }

  write(name: string, text: string): string {
    const path = join(this.path, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text, { mode: 0o700 });
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export const basicEntry = (user: string, password: string): { auth: string } => ({
  auth: Buffer.from(`${user}:${password}`).toString("base64"),
});

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
