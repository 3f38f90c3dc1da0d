/** What is fuzzed: each parser with valid inputs to start from. A parser that is new comes in here. */
import { readFileSync } from "node:fs";
import { describeDisk } from "../../src/actions/disk-inspect/inspect-disk.ts";
import { parseAlpmSection } from "../../src/formats/alpm/index.ts";
import { parseAuditHead, parseAuditLine } from "../../src/formats/audit-log/index.ts";
import {
  listSignatures,
  parsePeSignature,
  verifyPe,
  verifySignatureTimestamp,
} from "../../src/formats/authenticode/index.ts";
import { parseAwsVariables } from "../../src/formats/awsuefi/index.ts";
import { parseBootEntry, parseEntryName, parseLoaderConf } from "../../src/formats/bls/index.ts";
import { parseSignedData } from "../../src/formats/cms/index.ts";
import { parseArtifactLayers } from "../../src/formats/composefs-artifact/index.ts";
import { listInitramfs } from "../../src/formats/cpio/index.ts";
import { parseDpkgFileList, parseDpkgMd5sums, parseDpkgStatus } from "../../src/formats/dpkg/index.ts";
import { DUMPFILE_LIMITS_OF_C } from "../../src/formats/dumpfile/index.ts";
import { parseAuthenticatedVariable } from "../../src/formats/efivars/index.ts";
import { parseSignatureLists } from "../../src/formats/esl/index.ts";
import {
  type Ext4Inode,
  type Ext4Volume,
  openExt4,
  planExt4,
  readDirectory,
  readExt4Tree,
  readFile,
  readFileRanges,
  readInode,
  readLinkTarget,
  readVerityMetadata,
} from "../../src/formats/ext4/index.ts";
import { type FatEntry, openFat, readFatDirectory, readFatFile } from "../../src/formats/fat/index.ts";
import { parseGpt } from "../../src/formats/gpt/index.ts";
import { parseEnvelope, parseStatement } from "../../src/formats/in-toto/index.ts";
import {
  checkLayoutFile,
  parseDockerArchiveManifest,
  parseImageConfig,
  parseImageIndex,
  parseManifest,
  parseReference,
  parseReferrerList,
} from "../../src/formats/oci/index.ts";
import { parsePe, readCertificateTable, requireLoadable } from "../../src/formats/pe/index.ts";
import { parsePkcs11Uri } from "../../src/formats/pkcs11-uri/index.ts";
import { openQcow2 } from "../../src/formats/qcow2/index.ts";
import { parseTimestampResponse, parseTimestampToken, verifyTimestamp } from "../../src/formats/rfc3161/index.ts";
import { parseRpmdb, parseRpmFileList, parseRpmFileLists } from "../../src/formats/rpmdb/index.ts";
import { SelinuxPolicy } from "../../src/formats/selinux/index.ts";
import { parseSigningPolicy } from "../../src/formats/signing-policy/index.ts";
import { parseApproval, parseSigningRequest } from "../../src/formats/signing-request/index.ts";
import { parseBundle, parseSimpleSigning } from "../../src/formats/sigstore/index.ts";
import { parseSplitStream, readSplitStream } from "../../src/formats/splitstream/index.ts";
import { TarStream } from "../../src/formats/tar/index.ts";
import {
  findComposefsArguments,
  inspectUki,
  parseCommandLine,
  parseEnvFile,
  parseKargsToml,
  parsePcrPolicies,
  parseSbat,
  parseUki,
} from "../../src/formats/uki/index.ts";
import { parseCertificates } from "../../src/formats/x509/index.ts";
import { memorySource } from "../../src/lib/bytes/byte-source.ts";
import { byteString } from "../../src/lib/bytes/byte-string.ts";
import { FormatError, PolicyError, UnsupportedError, UsageError, VerificationError } from "../../src/lib/errors.ts";
import {
  encodeComposefsImage,
  parseComposefsFormat,
  treeFromDump,
  treeFromErofs,
} from "../../src/model/composefs/index.ts";
import { toLayerEntry } from "../../src/model/layer/to-entry.ts";
import { applyLayer, emptyTree } from "../../src/model/tree/apply.ts";
import { vector } from "../fixtures.ts";
import { ODD_LAYERS } from "../odd-layers.ts";
import {
  awsVariables,
  ext4Image,
  fatImage,
  fixturesIn,
  gptDisk,
  initramfses,
  installedDisk,
  packAwsVariables,
  qcow2Disk,
  texts,
  vectorsIn,
} from "./corpus.ts";
import { signingDocuments } from "./signing-documents.ts";

export interface FuzzTarget {
  readonly name: string;
  corpus(): Promise<Uint8Array[]> | Uint8Array[];
  /** Reads all that can be read. Whatever it throws besides a refusal is a bug. */
  run(bytes: Uint8Array): void;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

/** Places that a walk over a hostile file system visits, and bytes that it reads: the caller's limits, not the reader's. */
const VISITS = 500;
const READ_MAX = 8 << 20;

export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  {
    name: "tar",
    corpus: () => [
      ...ODD_LAYERS.map(({ tar }) => tar).filter(({ length }) => length < 20_000),
      ...vectorsIn("composefs/oci", ".tar"),
    ],
    run(bytes) {
      const tree = emptyTree();
      const stream = new TarStream({
        entry(item) {
          const entry = toLayerEntry(item, () => ({ kind: "inline", bytes: new Uint8Array() }));
          refusalsOnly(() => applyLayer(tree, { entries: [entry], size: 0 }, 0));
        },
        content: () => undefined,
      });
      for (let at = 0; at < bytes.length; at += 1000) stream.push(bytes.subarray(at, at + 1000));
      stream.end();
    },
  },
  {
    name: "attestations",
    corpus: () => [
      ...vectorsIn("sigstore/cosign-3.0.2/blobs/sha256", "").filter(({ length }) => length > 2),
      ...vectorsIn("sigstore/cosign-2.4.1/blobs/sha256", ""),
    ],
    run(bytes) {
      refusalsOnly(() => parseStatement(parseBundle(bytes).envelope.payload));
      refusalsOnly(() => parseStatement(parseEnvelope(bytes).payload));
      refusalsOnly(() => parseSimpleSigning(bytes));
      refusalsOnly(() => parseReferrerList(bytes));
      refusalsOnly(() => parseArtifactLayers(parseManifest(bytes).layers));
    },
  },
  {
    name: "dumpfile",
    corpus: () => vectorsIn("composefs/dumps", ".dump").slice(0, 24),
    run(bytes) {
      const tree = treeFromDump(bytes, { limits: DUMPFILE_LIMITS_OF_C });
      for (const name of ["v1-sha256", "v2-sha256"]) encodeComposefsImage(tree, parseComposefsFormat(name));
    },
  },
  {
    name: "erofs",
    corpus: () => vectorsIn("composefs/images", ".erofs"),
    run: (bytes) => void treeFromErofs(bytes),
  },
  {
    name: "pe",
    corpus: () => [...fixturesIn("secureboot/pe", ".efi"), ...fixturesIn("secureboot/uki", ".efi")],
    run(bytes) {
      const pe = parsePe(bytes);
      refusalsOnly(() => requireLoadable(pe));
      refusalsOnly(() => readCertificateTable(pe));
      refusalsOnly(() => listSignatures(pe));
      refusalsOnly(() => verifyPe(pe, { db: { certificates: DB_CERTIFICATES } }));
    },
  },
  {
    name: "uki",
    corpus: () => [...fixturesIn("secureboot/uki", ".efi"), ...fixturesIn("secureboot/pe", "addon.unsigned.efi")],
    run(bytes) {
      refusalsOnly(() => inspectUki(parsePe(bytes)));
      parseUki(bytes);
    },
  },
  { name: "initramfs", corpus: initramfses, run: (bytes) => void listInitramfs(bytes) },
  {
    name: "cms",
    corpus: () => fixturesIn("secureboot/pe", ".der"),
    run: (bytes) => void parseSignedData(bytes),
  },
  {
    name: "detached signature",
    corpus: () => fixturesIn("secureboot/pe", ".p7.der"),
    run: (bytes) => void verifySignatureTimestamp(parsePeSignature(bytes)),
  },
  {
    name: "timestamp",
    corpus: () => vectorsIn("rfc3161", ".tsr"),
    run: (bytes) => void verifyTimestamp(parseTimestampToken(parseTimestampResponse(bytes)), bytes),
  },
  {
    name: "PKCS #11 URI",
    corpus: () =>
      texts("pkcs11:token=a%20b;id=%01;type=private;slot-id=1?pin-source=file:/a&module-path=/b.so", "pkcs11:"),
    run: (bytes) => void parsePkcs11Uri(text(bytes)),
  },
  { name: "awsuefi", corpus: awsVariables, run: (bytes) => void parseAwsVariables(packAwsVariables(bytes)) },
  {
    name: "x509",
    corpus: () => [...vectorsIn("secureboot/keys", ".cer"), ...vectorsIn("secureboot/keys", ".crt")],
    run: (bytes) => void parseCertificates(bytes),
  },
  { name: "esl", corpus: () => vectorsIn("secureboot/auth", ".esl"), run: (bytes) => void parseSignatureLists(bytes) },
  {
    name: "auth",
    corpus: () => vectorsIn("secureboot/auth", ".auth"),
    run(bytes) {
      const { signature, payload } = parseAuthenticatedVariable(bytes);
      refusalsOnly(() => parseSignedData(signature));
      parseSignatureLists(payload);
    },
  },
  {
    name: "manifest",
    corpus: () => texts(MANIFEST, INDEX, CONFIG, DOCKER, '{"imageLayoutVersion":"1.0.0"}', "[".repeat(200)),
    run(bytes) {
      const readers = [parseManifest, parseImageIndex, parseImageConfig, parseDockerArchiveManifest, checkLayoutFile];
      for (const read of readers) refusalsOnly(() => read(bytes));
    },
  },
  {
    name: "reference",
    corpus: () =>
      texts(
        "docker://quay.io:443/a/b:c",
        "oci:dir:tag",
        "oci-archive:f:t",
        `x@sha256:${"0".repeat(64)}`,
        "dir:/",
        "localhost/a",
      ),
    run: (bytes) => void parseReference(text(bytes)),
  },
  {
    name: "signing documents",
    corpus: () => texts(...signingDocuments()),
    run(bytes) {
      const readers = [parseSigningRequest, parseApproval, parseAuditLine, parseAuditHead, parseSigningPolicy];
      for (const read of readers) refusalsOnly(() => read(bytes));
    },
  },
  {
    name: "selinux",
    corpus: () => texts(CONTEXTS, "/usr/(lib|lib64)(/.*)? -- a\n/[^/]+/x\\.y* -d b\n", "/(?<!a)b(?=c).{1,3} -l c\n"),
    run(bytes) {
      const policy = SelinuxPolicy.parse({ main: bytes, subs: bytes.subarray(0, 40) });
      for (const path of ["/", "/usr/lib/x.so.1", `/home/${"a".repeat(200)}`, "/etc/\xff"]) {
        policy.label(byteString(path), "-");
        policy.label(byteString(path), "d");
      }
    },
  },
  {
    name: "command-line",
    corpus: () =>
      texts(
        `root=x composefs=${"0".repeat(128)} rw "quoted a=b"`,
        "composefs=?v1-sha512:00 init=/x",
        "NAME=a\nVERSION='b c'\n",
      ),
    run(bytes) {
      parseCommandLine(text(bytes));
      parseEnvFile(text(bytes));
      refusalsOnly(() => findComposefsArguments(text(bytes)));
    },
  },
  {
    name: "uki-parts",
    corpus: () =>
      texts(
        'kargs = ["a", "b=c"]\nmatch-architectures = ["x86_64"]\n',
        "sbat,1,SBAT Version,sbat,1,https://x\nsystemd,1,The systemd Developers,systemd,254,https://y\n",
        '{"sha256":[{"pcrs":[11],"pkfp":"00","pol":"00","sig":"AA=="}]}',
      ),
    run(bytes) {
      refusalsOnly(() => parseKargsToml(bytes, "x86_64"));
      refusalsOnly(() => parseSbat(text(bytes), ".sbat"));
      refusalsOnly(() => parsePcrPolicies(bytes));
    },
  },
  {
    name: "packages",
    corpus: () =>
      texts(
        "Package: a\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\n\nPackage: b\nVersion: 1\n",
      ),
    run(bytes) {
      refusalsOnly(() => parseDpkgStatus(bytes));
      parseDpkgFileList(bytes);
      parseDpkgMd5sums(bytes);
      parseAlpmSection(bytes, "FILES");
    },
  },
  {
    name: "rpmdb",
    corpus: () => texts("SQLite format 3\0", "RpmP\0\0\0\0"),
    run(bytes) {
      refusalsOnly(() => parseRpmdb(bytes));
      refusalsOnly(() => parseRpmFileLists(bytes));
      refusalsOnly(() => parseRpmFileList(bytes));
    },
  },
  {
    name: "boot-entries",
    corpus: () => texts("title A\nversion 1\nlinux /vmlinuz\noptions a b\ninitrd /i\n", "timeout 3\ndefault a*\n"),
    run(bytes) {
      refusalsOnly(() => parseBootEntry(bytes, "a+3-1.conf"));
      refusalsOnly(() => parseLoaderConf(bytes));
      refusalsOnly(() => parseEntryName(`${text(bytes)}.efi`, ".efi"));
    },
  },
  {
    name: "splitstream",
    corpus: () => vectorsIn("composefs/stream", ".splitstream"),
    run(bytes) {
      for (const _ of readSplitStream(parseSplitStream(bytes))) continue;
    },
  },
  { name: "gpt", corpus: () => [gptDisk()], run: (bytes) => void parseGpt(memorySource(bytes)) },
  { name: "fat", corpus: () => [fatImage()], run: walkFat },
  { name: "ext4", corpus: () => [ext4Image()], run: walkExt4 },
  { name: "ext4-tree", corpus: () => [ext4Image()], run: rewriteExt4 },
  { name: "disk", corpus: () => [installedDisk()], run: (bytes) => void describeDisk(memorySource(bytes)) },
  {
    name: "qcow2",
    corpus: async () => [await qcow2Disk(false), await qcow2Disk(true)],
    run(bytes) {
      const disk = openQcow2(memorySource(bytes));
      for (let at = 0; at + 70_000 <= Math.min(disk.size, READ_MAX); at += 500_000) disk.read(at, 70_000);
    },
  },
];

const REFUSALS = [FormatError, UnsupportedError, VerificationError, PolicyError, UsageError] as const;
const DB_CERTIFICATES = parseCertificates(readFileSync(vector("secureboot/keys/test-db.cer")));
const BLOB = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: `sha256:${"0".repeat(64)}`, size: 7 };
const MANIFEST = JSON.stringify({ schemaVersion: 2, config: BLOB, layers: [BLOB, BLOB], annotations: { a: "b" } });
const INDEX = JSON.stringify({
  schemaVersion: 2,
  manifests: [{ ...BLOB, platform: { architecture: "amd64", os: "linux" } }],
});
const CONFIG = JSON.stringify({
  architecture: "amd64",
  os: "linux",
  config: { Labels: { a: "b" }, Env: ["A=B"] },
  rootfs: { type: "layers", diff_ids: [BLOB.digest] },
  history: [{ created: "2026-01-01T00:00:00Z", empty_layer: true }],
});
const DOCKER = JSON.stringify([{ Config: "a.json", RepoTags: ["a:b"], Layers: ["a/layer.tar"] }]);
const CONTEXTS =
  "/.* system_u:object_r:default_t:s0\n/usr(/.*)? a\n/etc/[a-z]+\\.d/.* -- b\n/run <<none>>\n# comment\n";

/** Lets refusals pass, so that one reader's does not hide what the next one does. */
export function refusalsOnly(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
}

/** Bytes are refused as what they are: malformed, not supported, not authentic, or a tree that has no digest. */
export function isRefusal(error: unknown): boolean {
  return REFUSALS.some((family) => error instanceof family);
}

function drain(chunks: Iterable<Uint8Array>): void {
  let left = READ_MAX;
  for (const { length } of chunks) if ((left -= length) < 0) return;
}

function walkFat(bytes: Uint8Array): void {
  const volume = openFat(memorySource(bytes));
  const queue: (FatEntry | undefined)[] = [undefined];
  for (let visit = 0; visit < queue.length && visit < VISITS; visit++) {
    refusalsOnly(() => {
      const entry = queue[visit];
      if (entry !== undefined && entry.kind === "file") drain(readFatFile(volume, entry));
      else queue.push(...readFatDirectory(volume, entry));
    });
  }
}

/** What is read can be written: with holes, several names and odd flags, or it is refused. */
function rewriteExt4(bytes: Uint8Array): void {
  const volume = openExt4(memorySource(bytes));
  const { blockCount, blockSize, hashSeed, uuid } = volume;
  const tree = readExt4Tree(volume, (ino, offset) => ({ ino, offset }));
  const time = { sec: 1n, nsec: 0 };
  for (const piece of planExt4(tree, { uuid, hashSeed, time, size: blockCount * blockSize }).pieces()) void piece;
}

function walkExt4(bytes: Uint8Array): void {
  const volume = openExt4(memorySource(bytes));
  const queue = [2];
  for (let visit = 0; visit < queue.length && visit < VISITS; visit++) {
    refusalsOnly(() => {
      const inode = readInode(volume, queue[visit] as number);
      if (inode.kind === "directory") queue.push(...readDirectory(volume, inode).map(({ ino }) => ino));
      else readLeaf(volume, inode);
    });
  }
}

function readLeaf(volume: Ext4Volume, inode: Ext4Inode): void {
  if (inode.kind === "symlink") readLinkTarget(volume, inode);
  if (inode.kind !== "file") return;
  refusalsOnly(() => readFileRanges(volume, inode));
  refusalsOnly(() => drain(readFile(volume, inode)));
  refusalsOnly(() => readVerityMetadata(volume, inode));
}
