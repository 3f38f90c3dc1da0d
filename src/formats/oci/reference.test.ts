import * as fc from "fast-check";
import { expect, test } from "vitest";
import { UsageError } from "../../lib/errors.ts";
import { toBlobDigest } from "./digest.ts";
import { parseReference, type Reference, showReference } from "./reference.ts";

const digest = toBlobDigest(Buffer.from("x"));

const cases: readonly (readonly [text: string, reference: Reference])[] = [
  ["oci:dir", { transport: "oci", path: "dir" }],
  ["oci:/a/b:v1.0", { transport: "oci", path: "/a/b", select: { by: "tag", tag: "v1.0" } }],
  [
    "oci:dir:quay.io/os/base:latest",
    { transport: "oci", path: "dir", select: { by: "tag", tag: "quay.io/os/base:latest" } },
  ],
  [`oci:dir:@${digest}`, { transport: "oci", path: "dir", select: { by: "digest", digest } }],
  ["oci-archive:x.tar:@1", { transport: "oci-archive", path: "x.tar", select: { by: "position", position: 1 } }],
  ["docker-archive:x.tar", { transport: "docker-archive", path: "x.tar" }],
  [
    "docker-archive:x.tar:localhost/os:1",
    { transport: "docker-archive", path: "x.tar", select: { by: "tag", tag: "localhost/os:1" } },
  ],
  ["dir:/a:b", { transport: "dir", path: "/a:b" }],
  ["dump:x.dump", { transport: "dump", path: "x.dump" }],
  ["erofs:x.erofs", { transport: "erofs", path: "x.erofs" }],
  ["containers-storage:localhost/os:1", { transport: "containers-storage", name: "localhost/os:1" }],
  ["debian", { transport: "docker", registry: "docker.io", repository: "library/debian", tag: "latest" }],
  ["debian:13", { transport: "docker", registry: "docker.io", repository: "library/debian", tag: "13" }],
  ["docker.io/debian", { transport: "docker", registry: "docker.io", repository: "library/debian", tag: "latest" }],
  ["team/os", { transport: "docker", registry: "docker.io", repository: "team/os", tag: "latest" }],
  ["docker://localhost:5000/os", { transport: "docker", registry: "localhost:5000", repository: "os", tag: "latest" }],
  ["localhost/os:1", { transport: "docker", registry: "localhost", repository: "os", tag: "1" }],
  ["[::1]:5000/os:1", { transport: "docker", registry: "[::1]:5000", repository: "os", tag: "1" }],
  [`quay.io/a/b@${digest}`, { transport: "docker", registry: "quay.io", repository: "a/b", digest }],
  [`quay.io/a/b:t@${digest}`, { transport: "docker", registry: "quay.io", repository: "a/b", tag: "t", digest }],
];

test.each(cases)("parseReference(%s)", (text, reference) => {
  expect(parseReference(text)).toEqual(reference);
  expect(parseReference(showReference(reference))).toEqual(reference);
});

test.each([
  ["docker-daemon:os:1", "reference.transport.unknown"],
  ["sif:os", "reference.transport.unknown"],
  ["ocidir:/a/b", "reference.transport.unknown"],
  ["https://quay.io/os", "reference.transport.unknown"],
  ["docker:/os", "reference.transport.unknown"],
  ["oci:", "reference.path.missing"],
  ["oci::tag", "reference.path.missing"],
  ["dir:", "reference.path.missing"],
  ["oci:a\0b", "reference.path.missing"],
  ["oci:dir:", "reference.tag.malformed"],
  ["oci:dir:a b", "reference.tag.malformed"],
  ["oci:dir:@", "reference.tag.malformed"],
  ["oci:dir:@sha256:00", "reference.tag.malformed"],
  ["", "reference.name.malformed"],
  ["./dir", "reference.name.malformed"],
  ["/a/b", "reference.name.malformed"],
  ["Debian", "reference.name.malformed"],
  ["debian:", "reference.name.malformed"],
  ["debian@sha256:00", "reference.name.malformed"],
  ["docker://", "reference.name.malformed"],
  ["quay.io/", "reference.name.malformed"],
  ["quay.io/../x", "reference.name.malformed"],
  ["user@quay.io/x", "reference.name.malformed"],
  ["containers-storage:", "reference.name.malformed"],
])("parseReference(%j) refuses with %s", (text, code) => {
  expect(() => parseReference(text)).toThrow(expect.objectContaining({ code }));
});

test("parseReference() answers any text with a reference or a UsageError", () => {
  const word = fc.stringMatching(/^[a-z:/@.-]{0,24}$/);
  const prefixed = fc.tuple(fc.constantFrom("", "oci:", "docker://", "docker-archive:"), word).map((p) => p.join(""));
  fc.assert(
    fc.property(fc.oneof(fc.string(), prefixed), (text) => {
      try {
        const reference = parseReference(text);
        expect(parseReference(showReference(reference))).toEqual(reference);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }),
  );
});
