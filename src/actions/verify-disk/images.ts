import { readInode } from "../../formats/ext4/index.ts";
import type { ComposefsArgument } from "../../formats/uki/index.ts";
import { showByteString } from "../../lib/bytes/byte-string.ts";
import { showSize, toHex } from "../../lib/bytes/numbers.ts";
import { FormatError, PolicyError, VerificationError } from "../../lib/errors.ts";
import { inFile } from "../../lib/in-file.ts";
import { treeFromErofs } from "../../model/composefs/index.ts";
import { checkFile, checkRange, type RootVolume } from "../../model/disk/check-merkle.ts";
import type { Directory, Tree } from "../../model/tree/tree.ts";
import { countOf } from "../../model/verdict/describe.ts";
import { describeFault } from "./faults.ts";
import type { ProvedRepository } from "./repository.ts";
import type { DiskVerdictBuilder } from "./verdict.ts";

/** What an image asks of an object. */
export interface ObjectUse {
  readonly size: bigint;
  /** First path in the tree, by order of directories. */
  readonly path: string;
  /** Names that lead to the object, in all images. */
  count: number;
}

export interface ProvedImages {
  /** Digests of the images that were proved. */
  readonly digests: ReadonlySet<string>;
  /** Objects that they need, by digest in hex. */
  readonly uses: ReadonlyMap<string, ObjectUse>;
}

/** Safety limit, not a format rule: the image of a large OS has some 30 MiB. */
const IMAGE_SIZE_MAX = 1 << 28;

/** The EROFS image of every digest on a command line, and what it asks of the objects. */
export async function verifyImages(
  verdict: DiskVerdictBuilder,
  root: RootVolume,
  repository: ProvedRepository,
  commandLines: readonly (readonly ComposefsArgument[])[],
): Promise<ProvedImages> {
  const uses = new Map<string, ObjectUse>();
  const digests = new Set<string>();
  const seen = new Set<string>();
  for (const given of commandLines) {
    // A host takes one of several: which of them is not there does no harm as long as one is.
    const present = given.filter(({ digestHex }) => repository.images.has(digestHex));
    for (const argument of present.length > 0 ? present : given) {
      if (seen.has(argument.digestHex)) continue;
      seen.add(argument.digestHex);
      const tree = await verdict.check("image", () => loadImage(root, repository, argument), describeImage);
      if (tree === undefined) continue;
      digests.add(argument.digestHex);
      await verdict.check(
        "image",
        () => inFile(`images/${argument.digestHex}`, () => collectUses(tree.tree, repository, uses)),
        (files) => `${countOf(files, "file")} of it with contents in objects`,
      );
    }
  }
  return { digests, uses };
}

interface LoadedImage {
  readonly tree: Tree;
  readonly size: number;
  readonly digest: string;
}

function loadImage(
  root: RootVolume,
  { algorithm: ofRepository, images, objects }: ProvedRepository,
  { algorithm, digestHex }: ComposefsArgument,
): LoadedImage {
  const name = `images/${digestHex}`;
  const object = images.get(digestHex);
  const stored = object === undefined ? undefined : objects.get(object);
  const data = { image: digestHex };
  if (object === undefined || stored === undefined) {
    const found = object === undefined ? "nothing" : "a link to an object that is not there";
    throw new VerificationError("disk.image.missing", `${name}: found ${found}, expected the EROFS image`, { data });
  }
  if (ofRepository !== undefined && ofRepository !== algorithm) {
    const message = `meta.json: found ${ofRepository}, expected ${algorithm}, the algorithm of the digest`;
    throw new PolicyError("disk.meta.algorithm-differs", message, { data });
  }
  const inode = readInode(root.volume, stored.inode.ino);
  if (inode.size > IMAGE_SIZE_MAX) {
    const expected = `at most ${IMAGE_SIZE_MAX} bytes`;
    throw new FormatError("disk.image.too-large", { what: name, expected, found: String(inode.size) });
  }
  const bytes = Buffer.allocUnsafeSlow(inode.size);
  const { digest, fault, faultAt, firstDifference } = checkFile(root, inode, algorithm, [
    checkRange(root, inode, algorithm, 0, bytes),
  ]);
  if (digest !== digestHex) {
    const where = firstDifference === undefined ? "" : `; the first wrong block starts at byte ${firstDifference}`;
    const message = `${name}: found an image with digest ${digest}${where}`;
    throw new VerificationError("disk.image.digest-mismatch", message, {
      data: { ...data, found: digest, ...(firstDifference === undefined ? {} : { offset: firstDifference }) },
    });
  }
  if (fault !== undefined) {
    throw new VerificationError(`disk.image.${fault}`, `${name}: ${describeFault(fault, faultAt)}`, { data });
  }
  return { tree: inFile(name, () => treeFromErofs(bytes)), size: bytes.length, digest: digestHex };
}

function describeImage({ digest, size }: LoadedImage): string {
  return `${digest.slice(0, 16)}..., ${showSize(size)}, digest and Merkle tree recomputed`;
}

/** @returns how many names have their content in objects */
function collectUses({ root }: Tree, { objects }: ProvedRepository, uses: Map<string, ObjectUse>): number {
  let files = 0;
  const open: [Directory, string][] = [[root, ""]];
  for (const [directory, above] of open) {
    for (const [name, node] of directory.entries) {
      if (node.kind === "directory") open.push([node, `${above}/${name}`]);
      if (node.kind !== "file" || node.content.kind === "inline") continue;
      const { content } = node;
      const path = `${above}/${showByteString(name)}`;
      const digest = content.kind === "external" ? (content.digests.sha512 ?? content.digests.sha256) : undefined;
      if (digest === undefined || content.kind !== "external") {
        const message = `${path}: found a ${content.kind} file, expected one with an object and its digest`;
        throw new VerificationError("disk.image.file-unbacked", message, { data: { path } });
      }
      files++;
      const hex = toHex(digest);
      const use = uses.get(hex);
      if (use === undefined) uses.set(objects.get(hex)?.hex ?? hex, { size: content.size, path, count: 1 });
      else {
        use.count++;
        if (use.size !== content.size) {
          const message = `${path}: found ${content.size} bytes, expected ${use.size} as ${use.path} has from the same object`;
          throw new VerificationError("disk.image.size-differs", message, { data: { path, object: hex } });
        }
      }
    }
  }
  return files;
}
