import { describe, expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { parseRegistriesConf, readLocations, writeLocation } from "./registries-conf.ts";

const conf = (text: string) =>
  new Map(parseRegistriesConf(Buffer.from(text), "conf").map((rule) => [rule.prefix || rule.location, rule]));

const show = (text: string, registry: string, repository: string, byDigest = false): readonly string[] =>
  readLocations(conf(text), registry, repository, byDigest).map(
    (place) => `${place.registry}/${place.repository}${place.insecure ? " insecure" : ""}`,
  );

const MIRRORED = `
unqualified-search-registries = ["quay.io"]
[[registry]]
prefix = "quay.io/team"
location = "store.example:5000/quay/team"
[[registry.mirror]]
location = "near.example/q"
insecure = true
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tags.example"
pull-from-mirror = "tag-only"
[[registry]]
location = "quay.io"
[[registry]]
prefix = "*.inner.example"
location = "gate.example/inner"
[[registry]]
location = "strict.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "near.example/strict"
[[registry]]
location = "closed.example/secret"
blocked = true
`;

describe("readLocations()", () => {
  test.each([
    ["docker.io", "library/debian", false, ["docker.io/library/debian"]],
    ["quay.io", "team/os", false, ["near.example/q/os insecure", "tags.example/os", "store.example:5000/quay/team/os"]],
    [
      "quay.io",
      "team/os",
      true,
      ["near.example/q/os insecure", "digests.example/os", "store.example:5000/quay/team/os"],
    ],
    ["quay.io", "teams/os", false, ["quay.io/teams/os"]],
    ["a.inner.example", "x/y", false, ["gate.example/inner/x/y"]],
    ["inner.example", "x/y", false, ["inner.example/x/y"]],
    ["strict.example", "os", false, ["strict.example/os"]],
    ["strict.example", "os", true, ["near.example/strict/os", "strict.example/os"]],
    ["closed.example", "secrets/os", false, ["closed.example/secrets/os"]],
  ] as const)("leads %s/%s, by digest %s, to %j", (registry, repository, byDigest, expected) => {
    expect(show(MIRRORED, registry, repository, byDigest)).toEqual(expected);
  });

  test("refuses what is blocked, for reading and for writing", () => {
    expect(codeOf(() => show(MIRRORED, "closed.example", "secret/os"))).toBe("registry.blocked");
    expect(codeOf(() => writeLocation(conf(MIRRORED), "closed.example", "secret/os"))).toBe("registry.blocked");
  });
});

test("writeLocation() never leads to a mirror", () => {
  expect(writeLocation(conf(MIRRORED), "quay.io", "team/os")).toMatchObject({ registry: "store.example:5000" });
});

test.each(["[[registry", "registry = 1", "[[registry]]\nblocked = 'yes'", "[[registry]]\n[[registry.mirror]]"])(
  "parseRegistriesConf() refuses %j",
  (text) => {
    expect(codeOf(() => conf(text))).toBe("registry.conf.malformed");
  },
);
