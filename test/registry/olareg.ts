/** A registry with the referrers API, which Debian's has not: olareg, built with Debian's Go from the module proxy. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, stop, type TestServer, untilListening } from "./servers.ts";

/** The oldest release on the module proxy. Checked against the public checksum database by Go itself. */
const VERSION = "v0.1.0";

/** Debian's, whatever else is on the PATH: it asks the proxy for one version and for no list of them. */
const GO = "/usr/bin/go";

const cache = fileURLToPath(new URL("../../.cache/olareg", import.meta.url));

/** Starts olareg with an empty store in memory. */
export async function startOlareg(): Promise<TestServer> {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const child = spawn(requireOlareg(), ["serve", "--addr", "127.0.0.1", "--port", `${port}`, "--store-type", "mem"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said: string[] = [];
  child.stderr?.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  await untilListening(host, child, said);
  return { host, [Symbol.asyncDispose]: () => stop(child) };
}

/** Builds the program once a checkout: about 15 s on two CPUs. */
function requireOlareg(): string {
  const program = join(cache, VERSION);
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), "sealwright-olareg-"));
  try {
    const env = {
      PATH: process.env["PATH"],
      HOME: work,
      GOBIN: work,
      GOPATH: join(work, "go"),
      GOCACHE: join(work, "cache"),
      GOFLAGS: "-modcacherw",
      ...(process.env["GOPROXY"] === undefined ? {} : { GOPROXY: process.env["GOPROXY"] }),
    };
    const root = execFileSync(GO, ["env", "GOROOT"], { env, encoding: "utf8" }).trim();
    execFileSync(GO, ["install", ...overlay(root, work), `github.com/olareg/olareg/cmd/olareg@${VERSION}`], {
      env,
      stdio: ["ignore", "ignore", "inherit"],
    });
    // Two test files may build at once: each its own, and the last rename wins with the same bytes.
    const own = `${program}.${process.pid}`;
    execFileSync("cp", [join(work, "olareg"), own]);
    renameSync(own, program);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return program;
}

/** The one thing that olareg wants of Go 1.20 and the Go of Debian 12 has not. */
const JOIN = `package errors

type joined []error

func (all joined) Error() (text string) {
	for _, err := range all {
		text += err.Error() + "\\n"
	}
	return
}

func Join(errs ...error) error {
	var all joined
	for _, err := range errs {
		if err != nil {
			all = append(all, err)
		}
	}
	if all == nil {
		return nil
	}
	return all
}
`;

function overlay(root: string, work: string): readonly string[] {
  const place = join(root, "src/errors/join.go");
  if (existsSync(place)) return [];
  writeFileSync(join(work, "join.go"), JOIN);
  writeFileSync(join(work, "overlay.json"), JSON.stringify({ Replace: { [place]: join(work, "join.go") } }));
  return ["-overlay", join(work, "overlay.json")];
}
