import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { vector } from "../../../test/fixtures.ts";
import { DUMPFILE_LIMITS_OF_C } from "../../formats/dumpfile/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { computeComposefsDigest, encodeComposefsImage, parseComposefsFormat, treeFromDump } from "./index.ts";

interface Vector {
  readonly name: string;
  readonly dump: string;
  readonly hash: "sha256" | "sha512";
  readonly digests: Readonly<Record<string, string>>;
}

const vectors = JSON.parse(readFileSync(vector("composefs/expected-dumps.json"), "utf8")) as Vector[];
const versions = [0, 1, 2] as const;

test.each(vectors)("computeComposefsDigest() of $name is what composefs-rs says", ({ dump, hash, digests }) => {
  for (const version of versions) {
    const format = parseComposefsFormat(`v${version}-${hash}`);
    const expected = digests[`composefs-rs V${version}`];
    const bytes = readFileSync(vector(`composefs/${dump}`));
    if (expected === "rejected") {
      expect(() => treeFromDump(bytes)).toThrow(/line \d+/);
    } else {
      expect(toHex(computeComposefsDigest(treeFromDump(bytes), format))).toBe(expected);
    }
  }
});

test.each(["inline-large", "symlink-long"])(
  "a dump that only C reads, %s, has C's digests under C's limits",
  (name) => {
    const { dump, digests } = vectors.find((one) => one.name === name) as Vector;
    const tree = treeFromDump(readFileSync(vector(`composefs/${dump}`)), { limits: DUMPFILE_LIMITS_OF_C });
    for (const version of [0, 1] as const) {
      const digest = toHex(computeComposefsDigest(tree, parseComposefsFormat(`v${version}-sha256`)));
      expect(digest).toBe(digests[`mkcomposefs --min-version=${version} --max-version=${version}`]);
    }
  },
);

const images = ["all-types", "empty", "hardlinks", "overlay-escape", "simple", "whiteouts", "worked-example", "xattrs"];

test.each([...images, "all-types-sha512"])(
  "encodeComposefsImage() of %s gives the bytes of the other tools",
  (name) => {
    const tree = treeFromDump(readFileSync(vector(`composefs/dumps/${name}.dump`)));
    const algorithm = name.endsWith("-sha512") ? "sha512" : "sha256";
    for (const version of [1, 2]) {
      const image = encodeComposefsImage(tree, parseComposefsFormat(`v${version}-${algorithm}`));
      const expected = readFileSync(vector(`composefs/images/${name}.v${version}.erofs`));
      expect(Buffer.compare(image, expected)).toBe(0);
    }
  },
);

interface OciVector {
  readonly name: string;
  readonly results: Readonly<Record<string, Readonly<Record<string, string>> | string>>;
}

const ociVectors = JSON.parse(readFileSync(vector("composefs/expected-oci.json"), "utf8")) as OciVector[];
const ociDumps = ociVectors.flatMap(({ name, results }) =>
  Object.entries(results).flatMap(([mode, expected]) =>
    typeof expected === "string" ? [] : [{ name, mode, expected }],
  ),
);

test.each(ociDumps)(
  "computeComposefsDigest() of the dump of image $name, $mode, is that of the image",
  ({ expected }) => {
    for (const algorithm of ["sha256", "sha512"] as const) {
      const dump = expected[`dump ${algorithm}`];
      if (dump === undefined) continue;
      const tree = treeFromDump(readFileSync(vector(`composefs/oci/${dump}`)));
      for (const version of versions) {
        const digest = expected[`V${version} ${algorithm}`];
        if (digest === undefined) continue;
        expect(toHex(computeComposefsDigest(tree, parseComposefsFormat(`v${version}-${algorithm}`)))).toBe(digest);
      }
    }
  },
);

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

// Plain SHA-256 of the image, pinned by the C test-suite (tests/assets).
test.each([
  [
    0,
    "/bigfile 9000000000000000 100777 1 0 0 0 0.0 - - -",
    "475838479da68b086445eca1f12dd30fc4513f3f88c66b40b58fd70f7495ea27",
  ],
  [
    0,
    "/bigfile 9001899274941000 100777 1 0 0 0 0.0 - - - user.foo=",
    "5bdb37d78dcf03b4ab1adc9a2d5212d3d95213b41628939f5fe3769f93d927cc",
  ],
  [
    0,
    "/something-with-acls-and-overlay 8960932074941261 100777 1 0 0 0 0.0 - - - system.posix_acl_default=x user.foo=xxxxxx",
    "49fcb98c1d331c3f4b414d99d17aac0a6a7e1f8fe7de0d33bbe53064fa55e88b",
  ],
  [1, "/chardev 1 20777 1 0 0 0 0.0 - - -", "3e7ca8195f29cfd0583ed761c8eead21892ef0ec61d1402aa7f7d84ef8316947"],
])("encodeComposefsImage() v%i of %s is the file that the C test-suite pins", (version, line, expected) => {
  const tree = treeFromDump(Buffer.from(`/ 4096 40755 2 0 0 0 0.0 - - -\n${line}\n`));
  expect(sha256(encodeComposefsImage(tree, parseComposefsFormat(`v${version}-sha256`)))).toBe(expected);
});

const special = `/ 0 40555 2 0 0 0 1633950376.0 - - - trusted.foo1=bar-1 user.foo2=bar-2
/blockdev 0 60777 1 0 0 107690 1633950376.0 - - - trusted.bar=bar-2
/chardev 0 20777 1 0 0 10769 1633950376.0 - - - trusted.foo=bar-2
/escaped-xattr 0 100777 1 0 0 0 1633950376.0 - - - trusted.overlay.redirect=/foo\\n user.foo=bar-2 user.overlay.redirect=/foo\\n
/fifo 0 10777 1 0 0 0 1633950376.0 - - - trusted.bar=bar-2
/inline 15 100777 1 0 0 0 1633950376.0 - FOOBAR\\nINAFILE\\n - user.foo=bar-2
/whiteout 0 20777 1 0 0 0 1633950376.0 - - - trusted.foo=bar-2
`;

test("the special tree has its pinned digests and files", () => {
  const tree = treeFromDump(Buffer.from(special));
  const digests = versions.map((v) => toHex(computeComposefsDigest(tree, parseComposefsFormat(`v${v}-sha256`))));
  expect(digests).toEqual([
    "ca8f91c7a310308bb5737cf1ab1d06395f83a2d9266423bfe5fe2b5f2c4e4218",
    "b1c78c25db8638be5b9b483472d32ee9624d8d32ded626a91cd536116e8df97c",
    "1fdf4ddd0a17123449feb902b32594f30fa121b81735c4540db0d556c9af8c8c",
  ]);
});

test("the tree of a small image has the digests of the composefs-rs test-suite", () => {
  const tree = treeFromDump(
    Buffer.from(`/ 0 40755 3 0 0 0 1234567890.0 - - -
/hello-link.txt 22 100644 2 0 0 0 1234567890.0 - hello\\x20from\\x20test\\x20layer\\n -
/hello.txt 0 @120000 - - - - 0.0 /hello-link.txt - -
/usr 0 40755 2 0 0 0 1234567890.0 - - -
`),
  );
  expect(toHex(computeComposefsDigest(tree, parseComposefsFormat("v1-sha512")))).toBe(
    "d06f1f6a73f62ed48e05ce9442ff045cdf2a9f5ba1ec623795de3d6177a253d91076459795d94f55d8c3d71dab458bb3fc0071255a50c0a4896d86ffdc870b9a",
  );
  expect(toHex(computeComposefsDigest(tree, parseComposefsFormat("v2-sha512-12")))).toBe(
    "f7684c21050615c02cec250e0c7d4118fb0ff6340af5039e06f2f372a7614fff25dfd38cf7f28ad67d8b86e86371b7deafa9ae4bf543630322aee6196417de92",
  );
});
