import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { findCredential } from "./credentials.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sealwright-auth-"));
});

afterEach(() => rmSync(home, { recursive: true }));

function write(name: string, content: unknown): void {
  mkdirSync(dirname(join(home, name)), { recursive: true });
  writeFileSync(join(home, name), typeof content === "string" ? content : JSON.stringify(content));
}

const auths = (entries: Readonly<Record<string, string>>): unknown => ({
  auths: Object.fromEntries(
    Object.entries(entries).map(([key, user]) => [key, { auth: Buffer.from(`${user}:a:b`).toString("base64") }]),
  ),
});

const find = async (registry: string, repository: string, env: Readonly<Record<string, string>> = {}) => {
  const found = await findCredential(registry, repository, { home, env });
  return found?.kind === "password" ? found.user : found;
};

describe("findCredential()", () => {
  test.each([
    ["quay.io", "team/os", "team"],
    ["quay.io", "team/os/more", "image"],
    ["quay.io", "teams/os", "host"],
    ["docker.io", "library/debian", "hub"],
    ["slash.example", "os", "url"],
    ["quay.io:443", "team/os", undefined],
  ])("finds the longest key for %s/%s: %s", async (registry, repository, expected) => {
    write(
      ".docker/config.json",
      auths({
        "quay.io": "host",
        "quay.io/team": "team",
        "quay.io/team/os/more": "image",
        "https://index.docker.io/v1/": "hub",
        "https://slash.example/v2/": "url",
      }),
    );
    expect(await find(registry, repository)).toBe(expected);
  });

  test("asks the files in the order of containers-auth.json(5)", async () => {
    write(".docker/config.json", auths({ "a.example": "docker", "b.example": "docker", "c.example": "docker" }));
    write(".config/containers/auth.json", auths({ "a.example": "config", "b.example": "config" }));
    write("run/containers/auth.json", auths({ "a.example": "runtime" }));
    const env = { XDG_RUNTIME_DIR: join(home, "run") };
    const found = [
      await find("a.example", "x", env),
      await find("b.example", "x", env),
      await find("c.example", "x", env),
    ];
    expect(found).toEqual(["runtime", "config", "docker"]);
    write("other.json", auths({ "a.example": "named" }));
    const named = { ...env, REGISTRY_AUTH_FILE: join(home, "other.json") };
    expect([await find("a.example", "x", named), await find("b.example", "x", named)]).toEqual(["named", undefined]);
  });

  test("keeps colons in passwords, and prefers tokens", async () => {
    write(".docker/config.json", {
      auths: {
        a: { auth: Buffer.from("u:p:q").toString("base64") },
        b: { auth: "dTpw", identitytoken: "t" },
        c: { registrytoken: "r" },
        d: {},
      },
    });
    const of = (registry: string) => findCredential(registry, "x", { home, env: {} });
    expect(await of("a")).toEqual({ kind: "password", user: "u", password: "p:q" });
    expect(await of("b")).toEqual({ kind: "identity-token", token: "t" });
    expect(await of("c")).toEqual({ kind: "access-token", token: "r" });
    expect(await of("d")).toBeUndefined();
  });

  test.each(["{", '{"auths": 1}', '{"auths": {"a": {"auth": 1}}}', '{"auths": {"a": {"auth": "bm8gY29sb24="}}}'])(
    "refuses %s and quotes nothing of it",
    async (text) => {
      write(".docker/config.json", text);
      expect(await codeOfAsync(() => find("a", "x"))).toBe("registry.auth-file.malformed");
      const error = await find("a", "x").catch((caught: unknown) => String(caught));
      expect(error).not.toContain("bm8g");
    },
  );

  test("refuses a file that was named and is not there", async () => {
    const work = () => findCredential("a", "x", { home, env: {}, authFile: join(home, "absent") });
    expect(await codeOfAsync(work)).toBe("input.not-found");
  });
});
